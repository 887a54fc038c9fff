/** What a visitor may consent to; conditions read `consent.marketing`: true, false, or null while nothing was told. */
export const purposes = ['analytics', 'personalization', 'marketing'] as const;
export type Purpose = (typeof purposes)[number];
