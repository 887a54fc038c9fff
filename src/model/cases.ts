/** `page_viewed` → `pageViewed`. */
export function camelCase(snake: string): string {
  return snake.replace(/_+([a-z0-9])/gi, (_, letter: string) => letter.toUpperCase());
}
/** `page_viewed` → `PageViewed`. */
export function pascalCase(name: string): string {
  const camel = camelCase(name);
  return camel.charAt(0).toUpperCase() + camel.slice(1);
}
