CREATE SCHEMA movies;
CREATE TYPE movies.genre AS ENUM ('HORROR', 'DRAMA', 'COMEDY');
CREATE TABLE movies.person (id text PRIMARY KEY, name varchar(200) NOT NULL, born timestamptz);
CREATE TABLE movies.film (
  id text PRIMARY KEY,
  title text NOT NULL,
  year smallint,
  genres movies.genre[] NOT NULL,
  stars double precision,
  budget numeric(12, 2),
  views bigint,
  released date,
  director_id text,
  extra jsonb,
  unknown_here point
);
CREATE TABLE movies.play (
  user_id text NOT NULL,
  film_id text NOT NULL,
  at timestamp NOT NULL,
  seconds integer NOT NULL,
  PRIMARY KEY (film_id, user_id, at)
);
CREATE TABLE seat (hall text, number integer, free boolean NOT NULL, PRIMARY KEY (hall, number));
