"""A program on the generated client: it asks a transport that knows recorded answers only."""

import asyncio
import json
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

from operations import (
    AsyncClient,
    Client,
    FilmByIdOperation,
    FilmInput,
    FilmParts,
    FilmUpdate,
    FilmWhere,
    Genre,
    IntWhere,
    PlayInput,
    Reply,
    Request,
    RequestError,
)

RECORDED: list[dict[str, Any]] = json.load(open("answers.json"))
USED: list[int] = []


def recorded(request: Request) -> Reply:
    assert request.headers["headwater-client"] == "test/1"
    assert request.headers["headwater-schema"] == "0123456789abcdef"
    assert request.headers["authorization"] == "Bearer t"
    body = json.loads(request.body)
    for index, asked in enumerate(RECORDED):
        if [asked["operation"], asked["variables"]] == [body["operationName"], body["variables"]]:
            USED.append(index)
            return Reply(200, "application/json", [json.dumps(asked["answer"]).encode()], lambda: None)
    raise AssertionError(body)


client = Client("http://recorded/graphql", token="t", transport=recorded)


def shown(film: FilmParts) -> str:
    director = film.director.name if film.director is not None else "nobody"
    return f"{film.title} by {director}"


home = client.home(first=3, where=FilmWhere(not_=FilmWhere(year=IntWhere(gt=2000))), with_plays=True)
assert home.films is not None
red = next(film for film in home.films.nodes if film.id == "f1")
assert shown(red.film_parts) == "The red planet by Ada Sol"
assert red.genres == [Genre.DRAMA]
assert red.plays is not None and red.plays[0].seconds == 63
assert red.plays[0].at == datetime(2026, 1, 4, tzinfo=timezone.utc)
assert red.director is not None and len(red.director.films) == 2
without = client.home(with_plays=False)
assert without.films is not None and without.films.nodes[0].plays is None

by_id = client.film_by_id(id="f1")
assert by_id.film is not None and by_id.film.title == "The red planet"
none = client.execute(FilmByIdOperation, {"id": "nothing"})
assert none.data is not None and none.data.film is None and none.errors == []

details = client.details(id="f1")
film = details.film
assert film is not None and details.kind == "Query"
assert film.views == 9007199254740993
assert film.budget == Decimal("1200000.50")
assert film.released == date(1995, 3, 1)
assert film.extra == {"tags": ["a", 1, None]}
assert film.studio is not None and film.studio.unspread2.type == "Oslo"
brief = client.details(id="f2", brief=True)
assert brief.film is not None and brief.film.studio is not None and brief.film.studio.city is None
groups = client.decades().films_aggregate
assert groups is not None and any(group.count == 2 for group in groups)


async def change() -> None:
    later = AsyncClient("http://recorded/graphql", token="t", transport=recorded)
    added = await later.add_film(
        input=FilmInput(
            id="f6",
            title="New",
            genres=[Genre.DRAMA],
            budget=Decimal("1.50"),
            views=9007199254740995,
            released=date(2026, 11, 30),
            year=None,
        ),
        idempotency_key="k",
    )
    assert added.create_film is not None and added.create_film.node is not None
    assert added.create_film.node.views == 9007199254740995
    changed = await later.change_film(input=FilmUpdate(id="f6", year=2026))
    assert changed.update_film is not None and changed.update_film.node is not None
    assert changed.update_film.node.year == 2026
    nulled = await later.change_film(input=FilmUpdate(id="f6", year=None))
    assert nulled.update_film is not None and nulled.update_film.node is not None
    assert nulled.update_film.node.year is None
    at = datetime(2026, 11, 30, 10, 0, 0, 123456, tzinfo=timezone.utc)
    await later.add_play(input=PlayInput(user_id="p1", film_id="f6", at=at, seconds=5))


asyncio.run(change())

try:
    client.add_film(input=FilmInput(id="f6", title="Twice", genres=[]))
    raise AssertionError("a twin was added")
except RequestError as error:
    assert error.code == "ALREADY_EXISTS"
    assert (error.errors[0].path, error.errors[0].owner) == (["createFilm"], "catalog")
assert sorted(USED) == list(range(len(RECORDED)))
