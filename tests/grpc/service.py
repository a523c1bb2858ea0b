"""A service of films by grpcio, as `films.proto` describes it.

In: `python service.py films`. Out: a server on loopback that says `listening on URL` once it is there, and
ends with its input. Each call is noted as `CALL` with the request as JSON, and `calls` of the health of the
test are asked by the method `Ask` with the words `calls`, which forgets them.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import threading
from concurrent import futures

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf import duration_pb2, empty_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
from grpc_reflection.v1alpha import reflection

HERE = pathlib.Path(__file__).parent
TOOLS = HERE.parent.parent / ".tools"
KNOWN = [duration_pb2, empty_pb2, struct_pb2, timestamp_pb2, wrappers_pb2]


def described():
    """The files of the service, by the protoc that setup installs."""
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder) / "films.binpb"
        command = [TOOLS / "protoc", f"-I{HERE}", "--include_imports"]
        subprocess.run([*command, f"--descriptor_set_out={target}", "films.proto"], check=True)
        return descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes())


POOL = descriptor_pool.Default()
for file in described().file:
    if not file.name.startswith("google/"):
        POOL.AddSerializedFile(file.SerializeToString())


def message(name, value):
    """A message of a type, from JSON."""
    of = message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))
    return json_format.ParseDict(value, of())


FILMS = {
    "a": {
        "id": "a", "title": "Above", "boxOffice": "9007199254740993", "genre": "GENRE_DRAMA",
        "director": {"id": "p", "name": "Ada"}, "tags": ["x", "y"], "votes": {"up": 3},
        "year": 0, "reel": "r1", "released": "2026-11-30T08:00:00.5Z", "length": "90s",
        "stars": 4.5, "facts": {"colour": True, "of": [1, None]}, "cover": "AAH/",
    },
    "b": {"id": "b", "title": "Below", "genre": "GENRE_COMEDY", "disc": 2},
    "c": {"id": "c"},
}
CALLS, LOCK = [], threading.Lock()


def get_film(request, context):
    """`NOT_FOUND` for one that is not there."""
    if request.id not in FILMS:
        context.abort(grpc.StatusCode.NOT_FOUND, "no such film")
    return message("films.v1.Film", FILMS[request.id])


def batch_get_films(request, _):
    """In another order than was asked for."""
    found = [FILMS[id] for id in sorted(request.ids, reverse=True) if id in FILMS]
    return message("films.v1.BatchGetFilmsResponse", {"films": found})


def list_films(request, _):
    """Pages of one film."""
    of_genre = [film for film in FILMS.values() if wanted(request, film)]
    at = int(request.page_token or "0")
    more = str(at + 1) if at + 1 < len(of_genre) else ""
    answer = {"films": of_genre[at : at + 1], "nextPageToken": more}
    return message("films.v1.ListFilmsResponse", answer)


def wanted(request, film):
    """Whether a film is of the genre that is asked for."""
    return not request.genre or message("films.v1.Film", film).genre == request.genre


def list_reviews(request, _):
    """Reviews of a film, as many as are wanted."""
    of = request.film_id
    reviews = [{"filmId": of, "text": f"{of}{number}"} for number in range(request.first or 2)]
    return message("films.v1.ListReviewsResponse", {"reviews": reviews})


def create_film(request, context):
    """Gives it back; without a title it is refused."""
    if not request.film.title:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a film has a title: 100 %")
    return request.film


def delete_film(request, context):
    """Says nothing."""
    if request.id not in FILMS:
        context.abort(grpc.StatusCode.NOT_FOUND, "no such film")
    return empty_pb2.Empty()


def watch_films(request, context):
    """A change a film, then the end; a failure where more are wanted than there are."""
    for number, film in enumerate(FILMS.values()):
        if number == request.until:
            return
        yield message("films.v1.FilmChange", {"kind": "NEW", "film": film})
    context.abort(grpc.StatusCode.OUT_OF_RANGE, "there are no more films")


def ask(request, context):
    """Whatever a test wants to hear."""
    if request.words == "calls":
        with LOCK:
            said, CALLS[:] = "\n".join(sorted(CALLS)), []
        return message("films.v1.AskResponse", {"said": said})
    if request.wait_ms:
        over = threading.Event()
        context.add_callback(over.set)
        over.wait(request.wait_ms / 1000)
    for code in grpc.StatusCode:
        if code.value[0] == request.status != 0:
            context.abort(code, request.words)
    left = "some time" if (context.time_remaining() or 1e9) < 1e6 else "no limit"
    asker = dict(context.invocation_metadata()).get("x-lang", "nobody")
    return message("films.v1.AskResponse", {"said": f"{left} for {asker}"})


METHODS = {
    "GetFilm": get_film, "BatchGetFilms": batch_get_films, "ListFilms": list_films,
    "ListReviews": list_reviews, "CreateFilm": create_film, "DeleteFilm": delete_film,
    "WatchFilms": watch_films, "Ask": ask,
}


def noted(name, answer):
    """The same answer, with the call noted."""

    def told(request, context):
        if name != "Ask":
            said = json_format.MessageToDict(request)
            with LOCK:
                CALLS.append(f"{name} {json.dumps(said, sort_keys=True)}")
        return answer(request, context)

    return told


def handler(name, answer):
    """What grpcio calls for a method."""
    of = POOL.FindServiceByName("films.v1.Films").methods_by_name[name]
    request = message_factory.GetMessageClass(of.input_type)
    kind = grpc.unary_stream_rpc_method_handler if name == "WatchFilms" else grpc.unary_unary_rpc_method_handler
    return kind(
        noted(name, answer),
        request_deserializer=request.FromString,
        response_serializer=lambda answer: answer.SerializeToString(),
    )


def main():
    """Serves until the input ends."""
    server = grpc.server(futures.ThreadPoolExecutor(16), compression=grpc.Compression.Gzip)
    handlers = {name: handler(name, answer) for name, answer in METHODS.items()}
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("films.v1.Films", handlers)]
    )
    reflection.enable_server_reflection(["films.v1.Films", reflection.SERVICE_NAME], server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on http://127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()
