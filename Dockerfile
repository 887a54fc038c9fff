# One image for all roles: `start --role worker`, `start --role gateway`, or `start` for an embedded Usher.
FROM node:26.10.0-slim AS build
WORKDIR /usher
COPY package.json package-lock.json .npmrc ./
# The image has Node.js, so the npm package that brings it need not fetch it.
RUN npm ci --ignore-scripts --no-progress
COPY . .
RUN node scripts/build-web.ts && npm prune --omit=dev --ignore-scripts

FROM node:26.10.0-slim
ENV NODE_ENV=production
WORKDIR /usher
COPY --from=build /usher/package.json ./
COPY --from=build /usher/node_modules ./node_modules
COPY --from=build /usher/dist ./dist
COPY --from=build /usher/src ./src
COPY --from=build /usher/playbooks ./playbooks
RUN mkdir .usher && chown node:node .usher
USER node
EXPOSE 4000
ENTRYPOINT ["node", "src/main.ts"]
CMD ["start"]
