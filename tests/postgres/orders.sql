CREATE SCHEMA sales;
CREATE TYPE sales.state AS ENUM ('OPEN', 'SENT');
CREATE TABLE sales."order" (
  id bigserial PRIMARY KEY,
  film_id text NOT NULL,
  person_id text,
  price numeric(10, 2) NOT NULL,
  state sales.state NOT NULL DEFAULT 'OPEN'
);
CREATE INDEX ON sales."order" (film_id);
CREATE TABLE sales.stock (film_id text PRIMARY KEY, copies integer NOT NULL);
INSERT INTO sales."order" (film_id, person_id, price, state) VALUES
  ('f1', 'p1', 12.50, 'SENT'), ('f1', 'p2', 13, 'OPEN'), ('f3', 'p1', 9.99, 'OPEN'), ('gone', NULL, 1, 'SENT');
INSERT INTO sales.stock VALUES ('f1', 3), ('f2', 0), ('f9', 7);
