// Settings of @graphql-hive/gateway: everything off that costs time and is not asked for; requests in
// flight are not shared between clients; the client's `x-viewer` goes to every source.
export const gatewayConfig = {
  logging: false,
  landingPage: false,
  graphiql: false,
  pollingInterval: 0,
  healthCheckEndpoint: false,
  transportEntries: {
    "*.http": { options: { deduplicateInflightRequests: false } },
  },
  propagateHeaders: {
    fromClientToSubgraphs({ request }) {
      const viewer = request.headers.get("x-viewer");
      return viewer ? { "x-viewer": viewer } : {};
    },
  },
};
