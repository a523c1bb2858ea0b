"""Two services of the demo graph by Strawberry, whose types are Python's.

In: `python service.py reviews|inventory [PORT]`. Out: a GraphQL server on loopback that says `listening on
URL` once it is there, and ends with its input. The schema that it gives by `_service` is worded by
Strawberry, and answers what `reviews.graphql` and `inventory.graphql` say.
"""

import json
import pathlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Optional, Union

import strawberry
from strawberry.federation import Schema
from strawberry.federation import field as federated
from strawberry.federation import type as entity

DATA = json.loads((pathlib.Path(__file__).parent / "data.json").read_text("utf-8"))
REVIEWS = {row["id"]: row for row in DATA["reviews"]}
USERS = {row["id"]: row for row in DATA["users"]}
PRODUCTS = {row["upc"]: row for row in DATA["products"]}



def reviews():
    """The service with reviews."""

    @entity(keys=["id"])
    class User:
        id: strawberry.ID
        username: str = federated(external=True)

        @strawberry.field
        def reviews(self) -> list["Review"]:
            return [review(row) for row in DATA["reviews"] if row["author"] == self.id]

        @classmethod
        def resolve_reference(cls, id: strawberry.ID) -> Optional["User"]:
            return user(id) if id in USERS else None

    @entity(keys=["upc"])
    class Product:
        upc: strawberry.ID

        @strawberry.field
        def reviews(self, first: Optional[int] = 100) -> list["Review"]:
            rows = [row for row in DATA["reviews"] if row["product"] == self.upc]
            return [review(row) for row in rows[: max(0, first)]]

        @classmethod
        def resolve_reference(cls, upc: strawberry.ID) -> Optional["Product"]:
            return Product(upc=upc) if upc in PRODUCTS else None

    Mention = Annotated[Union[User, Product], strawberry.union("Mention")]

    @entity(keys=["id"])
    class Review:
        id: strawberry.ID
        body: str
        stars: int
        helpful: Optional[float]
        author: User = federated(provides=["username"])
        product: Product
        mentions: list[Mention]

        @classmethod
        def resolve_reference(cls, id: strawberry.ID) -> Optional["Review"]:
            return review(REVIEWS[id]) if id in REVIEWS else None

    def user(key):
        return User(id=key, username=USERS[key]["username"])

    def mention(key):
        return user(key) if key in USERS else Product(upc=key)

    def review(row):
        plain = {name: row[name] for name in ("id", "body", "stars", "helpful")}
        mentions = [mention(key) for key in row["mentions"]]
        return Review(
            **plain, author=user(row["author"]), product=Product(upc=row["product"]), mentions=mentions
        )

    @entity
    class Query:
        @strawberry.field
        def review(self, id: strawberry.ID) -> Optional[Review]:
            return review(REVIEWS[id]) if id in REVIEWS else None

        @strawberry.field
        def reviews(self, first: Optional[int] = 10) -> list[Review]:
            return [review(row) for row in DATA["reviews"][: max(0, first)]]

        @strawberry.field
        def feed(self, first: Optional[int] = 10) -> list[Mention]:
            keys = [key for row in DATA["reviews"] for key in row["mentions"]]
            return [mention(key) for key in keys[: max(0, first)]]

    @strawberry.type
    class Mutation:
        @strawberry.mutation
        def add_review(self, upc: strawberry.ID, body: str) -> Review:
            new = {"id": "r-new", "body": body, "stars": 5, "helpful": None}
            return Review(**new, author=user("u0"), product=Product(upc=upc), mentions=[])

    # Annotations are looked up by name in the module.
    globals().update(Review=Review, User=User, Product=Product)
    return Schema(query=Query, mutation=Mutation, types=[User, Product])


def inventory():
    """The service with what is in stock: what a field requires comes with the reference."""

    @entity(shareable=True)
    class Dimensions:
        width: int
        height: int

    @entity(keys=["upc"])
    class Product:
        upc: strawberry.ID
        price: int = federated(external=True, default=None)
        weight: int = federated(external=True, default=None)
        dimensions: Dimensions = federated(external=True, default=None)

        @strawberry.field
        def in_stock(self) -> Optional[bool]:
            return PRODUCTS[self.upc]["stock"] > 0

        @federated(requires=["price", "weight"])
        def shipping_estimate(self) -> Optional[int]:
            if self.price is None or self.weight is None:
                return None
            return 0 if self.price > 1000 else self.weight // 2

        @federated(requires=["dimensions { width height }"])
        def fits(self) -> Optional[bool]:
            size = self.dimensions
            return None if size is None else size.width * size.height <= 6000

        @classmethod
        def resolve_reference(
            cls, upc: strawberry.ID, price=None, weight=None, dimensions=None
        ) -> Optional["Product"]:
            if upc not in PRODUCTS:
                return None
            sizes = None
            if dimensions is not None:
                sizes = Dimensions(width=dimensions["width"], height=dimensions["height"])
            return Product(upc=upc, price=price, weight=weight, dimensions=sizes)

    @entity
    class Query:
        @strawberry.field
        def low_stock(self, first: Optional[int] = 5) -> list[Product]:
            low = [row["upc"] for row in DATA["products"] if row["stock"] < 5]
            return [Product(upc=upc) for upc in low[: max(0, first)]]

    globals().update(Product=Product)
    return Schema(query=Query)


SERVICES = {"reviews": reviews, "inventory": inventory}


def handler(schema):
    """Answers requests by a schema."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            result = schema.execute_sync(
                request["query"],
                variable_values=request.get("variables"),
                operation_name=request.get("operationName"),
            )
            answer = {"data": result.data}
            if result.errors:
                answer["errors"] = [error.formatted for error in result.errors]
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Nothing is logged."""

    return Handler


def main():
    name, port = sys.argv[1], int((sys.argv + ["0"])[2])
    server = ThreadingHTTPServer(("127.0.0.1", port), handler(SERVICES[name]()))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"listening on http://127.0.0.1:{server.server_address[1]}/graphql", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
