"""Makes `data.json`, the rows that every service here serves: `python3 make_data.py > data.json`.

In: nothing. Out: users, products, bundles and reviews as JSON, the same each time. Users review products
of their own ten only, so that a deep question meets the same objects again and again, as it does in life.
"""

import json

FIRST = "Ada Björn Chen Dalia Émile Farid Grace Hana Ivo June".split()
LAST = "Moss Rivera Okafor Lindqvist Tanaka Novák Haddad Brandt Silva Weir".split()
KINDS = "Table Couch Chair Lamp Desk Shelf Rug Clock Stool Bench".split()
WOODS = "Oak Pine Walnut Steel Linen Cork Glass Marble Wool Bamboo".split()
PHRASES = [
    "arrived a day early and well packed",
    "the colour is warmer than in the picture",
    "my neighbour said \"buy two\" and was right",
    "wobbles a little on old floors",
    "easy to put together, even alone",
    "costs more than it should",
    "naïve of me to expect better ☕",
    "still like new after a year\nof daily use",
    "the manual's path C:\\drawers is a joke",
    "would give it to a friend",
]


def user(n):
    first, last = FIRST[n % 10], LAST[n // 10]
    return {
        "id": f"u{n}",
        "name": f"{first} {last}",
        "username": f"{last.lower()}.{n}",
        "birthday": f"19{60 + n % 40}-{1 + n % 12:02}-{1 + n % 28:02}",
        "email": None if n % 6 == 5 else f"{last.lower()}.{n}@example.org",
    }


def product(n):
    return {
        "upc": f"p{n}",
        "name": f"{WOODS[n // 10]} {KINDS[n % 10]}",
        "price": 49 + n * 97 % 1900,
        "weight": 100 + n * 53 % 900,
        "width": 20 + n * 7 % 150,
        "height": 10 + n * 13 % 110,
        "stock": 0 if n % 3 == 0 else n * 31 % 50 + 1,
    }


def bundle(n):
    return {
        "upc": f"b{n}",
        "name": f"{KINDS[n % 10]} set",
        "price": 500 + n * 111,
        "products": [f"p{(n * 3 + k * 10) % 100}" for k in range(3)],
    }


def review(n):
    author = n // 3
    place, ten = author % 10, author // 10 * 10
    chosen = [place, place * 3 + 1, place * 7 + 5][n % 3] % 10
    return {
        "id": f"r{n}",
        "body": f"{PHRASES[n % 10]}; {PHRASES[n * 3 // 10 % 10]}".capitalize(),
        "stars": 1 + n * 7 % 5,
        "helpful": None if n % 7 == 3 else n % 40 / 4,
        "author": f"u{author}",
        "product": f"p{ten + chosen}",
        "mentions": [f"u{n % 100}", f"p{n * 11 % 100}"][: n % 3],
    }


if __name__ == "__main__":
    tables = {
        "users": [user(n) for n in range(100)],
        "products": [product(n) for n in range(100)],
        "bundles": [bundle(n) for n in range(10)],
        "reviews": [review(n) for n in range(300)],
    }
    lines = []
    for name, rows in tables.items():
        texts = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        lines.append(f'"{name}": [\n{texts}\n]')
    print("{\n" + ",\n".join(lines) + "\n}")
