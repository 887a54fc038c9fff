import type { CodegenConfig } from '@graphql-codegen/cli';

/**
 * `npm run codegen`: prints schema/*.graphql from the code, then types for the operations of schema/operations, which tests and
 * examples send. src/generated is not in the repository and the server does not need it.
 */
const config: CodegenConfig = {
  schema: ['schema/schema.graphql', 'schema/demo-store.graphql'],
  documents: ['schema/operations/*.graphql'],
  importExtension: '.ts',
  generates: {
    'src/generated/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        useTypeImports: true,
        enumsAsTypes: true,
        strictScalars: true,
        scalars: { JSON: 'unknown', DateTime: 'string', UUID: 'string', Cursor: 'string' },
      },
    },
  },
};

export default config;
