// What the fields of the demo graph answer, out of data.json: for the services and for the monolith.
// In: nothing. Out: a resolver map for each service, and one for the whole graph. Not here: HTTP.
import { readFileSync } from "node:fs";

const data = JSON.parse(readFileSync(new URL("data.json", import.meta.url), "utf8"));
const byKey = (rows, key) => new Map(rows.map((row) => [row[key], row]));
const users = byKey(data.users, "id");
const products = byKey(data.products, "upc");
const bundles = byKey(data.bundles, "upc");
const reviews = byKey(data.reviews, "id");

const first = (rows, count) => rows.slice(0, Math.max(0, count));
const named = (name) => users.get(name) ?? products.get(name);
const typeOf = (row) => ("products" in row ? "Bundle" : "upc" in row ? "Product" : "User");

const entry = (n) => ({
  id: `e${n}`,
  title: data.products[n % data.products.length].name,
  text: [0, 1, 2].map((k) => data.reviews[(n + k) % data.reviews.length].body).join(" "),
  size: (n * 37) % 1000,
  tags: [0, 1, 2].slice(0, n % 4).map((k) => data.users[(n + k) % data.users.length].name),
});

const accounts = {
  Query: {
    me: () => data.users[0],
    user: (_, { id }) => users.get(id) ?? null,
    users: (_, args) => first(data.users, args.first),
  },
  User: { __resolveReference: ({ id }) => users.get(id) ?? null },
};

const catalogue = {
  Query: {
    topProducts: (_, args) => first(data.products, args.first),
    product: (_, { upc }) => products.get(upc) ?? null,
    catalogue: (_, args) => first(mixed, args.first),
    archive: (_, args) => Array.from({ length: Math.max(0, args.first) }, (_, n) => entry(n)),
  },
  Item: { __resolveType: typeOf },
  Product: {
    __resolveReference: ({ upc }) => products.get(upc) ?? null,
    dimensions: ({ width, height }) => ({ width, height }),
  },
  Bundle: {
    __resolveReference: ({ upc }) => bundles.get(upc) ?? null,
    products: (bundle) => bundle.products.map((upc) => products.get(upc)),
  },
};

// A bundle after every four products.
const mixed = data.products.flatMap((product, n) =>
  n % 4 === 3 && data.bundles[(n - 3) / 4] ? [product, data.bundles[(n - 3) / 4]] : [product],
);

const opinions = {
  Query: {
    review: (_, { id }) => reviews.get(id) ?? null,
    reviews: (_, args) => first(data.reviews, args.first),
    feed: (_, args) => first(data.reviews.flatMap((review) => review.mentions.map(named)), args.first),
  },
  Mutation: {
    addReview: (_, { upc, body }) => ({
      ...{ id: "r-new", body, stars: 5, helpful: null, author: "u0", product: upc, mentions: [] },
    }),
  },
  Mention: { __resolveType: typeOf },
  Review: {
    __resolveReference: ({ id }) => reviews.get(id) ?? null,
    author: (review) => users.get(review.author),
    product: (review) => products.get(review.product),
    mentions: (review) => review.mentions.map(named),
  },
  User: {
    __resolveReference: ({ id }) => users.get(id) ?? null,
    reviews: (user) => data.reviews.filter((review) => review.author === user.id),
  },
  Product: {
    __resolveReference: ({ upc }) => products.get(upc) ?? null,
    reviews: (product, args) =>
      first(data.reviews.filter((review) => review.product === product.upc), args.first),
  },
};

const shipping = (price, weight) => (price > 1000 ? 0 : Math.floor(weight / 2));
const fits = ({ width, height }) => width * height <= 6000;

// What a field requires comes with the reference, and only from there.
const inventory = {
  Query: { lowStock: (_, args) => first(data.products.filter((row) => row.stock < 5), args.first) },
  Product: {
    __resolveReference: (given) => {
      const row = products.get(given.upc);
      return row ? { ...given, stock: row.stock } : null;
    },
    inStock: ({ stock }) => stock > 0,
    shippingEstimate: ({ price, weight }) =>
      price === undefined || weight === undefined ? null : shipping(price, weight),
    fits: ({ dimensions }) => (dimensions ? fits(dimensions) : null),
  },
};

export const services = { accounts, products: catalogue, reviews: opinions, inventory };

export const monolith = {
  Query: Object.assign({}, ...Object.values(services).map((one) => one.Query)),
  Mutation: opinions.Mutation,
  Item: { __resolveType: typeOf },
  Mention: { __resolveType: typeOf },
  Bundle: { products: catalogue.Bundle.products },
  Review: { author: opinions.Review.author, product: opinions.Review.product, mentions: opinions.Review.mentions },
  User: { reviews: opinions.User.reviews },
  Product: {
    dimensions: catalogue.Product.dimensions,
    reviews: opinions.Product.reviews,
    inStock: inventory.Product.inStock,
    shippingEstimate: ({ price, weight }) => shipping(price, weight),
    fits,
  },
};
