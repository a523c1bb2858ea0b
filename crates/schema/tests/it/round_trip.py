from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

from rows import Order, Product, Size, State

answer = {
    "id": "a",
    "productId": "p",
    "at": "2026-01-02T03:04:05.5Z",
    "due": "2026-02-28",
    "state": "OPEN",
    "receipt": "aGk=",
}
order = Order.from_json({**answer, "id": "6b0c7c8e-0000-4000-8000-000000000001"})
assert order.id == UUID("6b0c7c8e-0000-4000-8000-000000000001")
assert order.at == datetime(2026, 1, 2, 3, 4, 5, 500_000, tzinfo=timezone.utc)
assert order.due == date(2026, 2, 28)
assert order.state is State.OPEN
assert order.receipt == b"hi"
assert order.product is None
assert Order.from_json(order.to_json()) == order
for text in ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000001Z", "2026-01-02T03:04:05.123Z"]:
    moment = Order.from_json({**order.to_json(), "at": text}).at
    assert moment.tzinfo is timezone.utc, text
    assert moment.second == 5, text
east = datetime(2026, 1, 2, 5, 4, 5, tzinfo=timezone(timedelta(hours=2)))
order.at = east
assert order.to_json()["at"] == "2026-01-02T03:04:05.000000Z"

product = Product(
    id="p",
    name="Lamp",
    price=Decimal("12.50"),
    sold=2**60,
    size=Size(width=3, class_="A"),
    sizes=[Size(width=4)],
    tags=["x"],
)
written = product.to_json()
assert written["price"] == "12.50" and written["sold"] == "1152921504606846976"
assert written["size"] == {"width": 3, "class": "A"}
assert written["weight"] is None
assert Product.from_json(written) == product
nested = Order.from_json({**order.to_json(), "product": written})
assert nested.product == product
