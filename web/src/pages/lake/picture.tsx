/** A stored picture. With a token it is fetched with it, since an `img` element sends none. */
import { useEffect, useState } from "react";
import type { Media } from "../../api/rows";
import { send, useToken } from "../../api/session";
import { Icon } from "../../design/parts/icon";

interface Options {
  typeName: string;
  field: string;
  media: Media;
  label: string;
  isSmall?: boolean;
  isOriginal?: boolean;
}

export function Picture({ typeName, field, media, label, isSmall = false, isOriginal = false }: Options) {
  const path = `/media/${[typeName, field, media.hash].map(encodeURIComponent).join("/")}`;
  const { source, hasFailed, fail } = useSource(isOriginal ? path : `${path}?variant=thumbnail`);
  const ground = { backgroundColor: media.meanColor ?? undefined };
  const classes = isSmall ? "picture is-small" : isOriginal ? "picture is-original" : "picture";
  if (hasFailed) {
    return <span className={`${classes} is-broken`} role="img" aria-label={`${label}: the picture could not be loaded`}><Icon name="image" size={isSmall ? 16 : 28} /></span>;
  }
  const size = media.width && media.height && isOriginal ? { width: media.width, height: media.height } : {};
  return <img className={classes} style={ground} src={source} alt={label} loading="lazy" decoding="async" onError={fail} {...size} />;
}

function useSource(path: string) {
  const token = useToken();
  const [blob, setBlob] = useState<string>();
  const [failed, setFailed] = useState<string>();
  useEffect(() => {
    if (!token) return;
    const stop = new AbortController();
    let url: string | undefined;
    send(path, { signal: stop.signal })
      .then((response) => response.blob())
      .then((found) => {
        if (stop.signal.aborted) return;
        url = URL.createObjectURL(found);
        setBlob(url);
      })
      .catch(() => stop.signal.aborted || setFailed(path));
    return () => {
      stop.abort();
      if (url) URL.revokeObjectURL(url);
    };
  }, [path, token]);
  return { source: token ? blob : path, hasFailed: failed === path, fail: () => setFailed(path) };
}
