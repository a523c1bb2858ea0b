//! W3C's Trace Context: whose trace a request belongs to, and whether it is kept.
//!
//! In: the headers of a request. Out: its place in a trace. Who began the trace decides whether it is
//! kept; of traces that begin here, a share is. Not here: how the context travels on (`mesh::record`).

use base::rng::Rng;
use http::HeaderMap;
use mesh::record::{SpanId, Trace};

/// Which traces that begin here are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampler {
    /// Ids below this, as their last 7 bytes count them.
    below: u64,
}

/// What a client says of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parent {
    id: [u8; 16],
    span: SpanId,
    is_sampled: bool,
}

/// As many ids as 7 bytes tell apart: the part of an id that is random in any case.
const IDS: u64 = 1 << 56;

impl Sampler {
    /// Keeps this share.
    pub(super) fn new(share: f64) -> Self {
        Sampler { below: (share.clamp(0.0, 1.0) * IDS as f64) as u64 }
    }

    fn keeps(self, id: [u8; 16]) -> bool {
        let [.., a, b, c, d, e, f, g] = id;
        u64::from_be_bytes([0, a, b, c, d, e, f, g]) < self.below
    }

    /// The place of a request in a trace, and the span of the client that called.
    pub(super) fn place(self, headers: &HeaderMap, rng: &Rng) -> (Trace, Option<SpanId>) {
        let mut drawn = [0; 24];
        rng.fill(&mut drawn);
        let (mut id, mut span) = ([0; 16], [0; 8]);
        id.copy_from_slice(&drawn[..16]);
        span.copy_from_slice(&drawn[16..]);
        // Zeros name nothing.
        id[0] |= u8::from(id == [0; 16]);
        span[0] |= u8::from(span == [0; 8]);
        match parent(headers) {
            Some(parent) => {
                let (id, is_sampled) = (parent.id, parent.is_sampled);
                (Trace { id, span, is_sampled, is_continued: true }, Some(parent.span))
            }
            None => {
                let is_sampled = self.keeps(id);
                (Trace { id, span, is_sampled, is_continued: false }, None)
            }
        }
    }
}

/// What `traceparent` says, if it stands there once and says it as the recommendation has it.
fn parent(headers: &HeaderMap) -> Option<Parent> {
    let mut values = headers.get_all("traceparent").iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    parse(value.as_bytes())
}

/// `00-TRACE-SPAN-FLAGS`; versions to come may say more behind it.
fn parse(text: &[u8]) -> Option<Parent> {
    let (known, more) = text.split_at_checked(55)?;
    let [version] = hex(&known[..2])?;
    let is_known = match version {
        0 => more.is_empty(),
        0xff => false,
        _ => more.is_empty() || more.starts_with(b"-"),
    };
    let is_divided = [2, 35, 52].iter().all(|at| known[*at] == b'-');
    let (id, span, [flags]) = (hex(&known[3..35])?, hex(&known[36..52])?, hex(&known[53..])?);
    let is_named = id != [0; 16] && span != [0; 8];
    (is_known && is_divided && is_named).then_some(Parent { id, span, is_sampled: flags & 1 == 1 })
}

/// Lowercase hexadecimal digits, as many as are wanted.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != N * 2 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? * 16 + digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_context_is_read_as_the_recommendation_has_it() {
        let good = parse(GOOD.as_bytes()).expect("a parent");
        assert_eq!((good.id[0], good.span[7], good.is_sampled), (0x0a, 0x31, true));
        let is_sampled = |flags: &str| {
            parse(GOOD.replace("-01", flags).as_bytes()).map(|parent| parent.is_sampled)
        };
        assert_eq!(is_sampled("-00"), Some(false));
        // Other bits are for versions to come.
        assert_eq!(is_sampled("-ff"), Some(true));
        assert!(parse(GOOD.replace("00-0", "cc-0").as_bytes()).is_some());
        assert!(parse((GOOD.replace("00-0", "cc-0") + "-what-comes").as_bytes()).is_some());
        let bad = [
            GOOD.to_uppercase(),
            GOOD.replace("00-0", "ff-0"),
            GOOD.to_owned() + "-00",
            GOOD.replace("00-0", "cc-0") + ".x",
            GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            GOOD.replace("-b7", "_b7"),
            GOOD[..54].to_owned(),
            String::new(),
        ];
        for bad in bad {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    fn place(share: f64, contexts: &[&'static str]) -> (Trace, Option<SpanId>) {
        let mut headers = HeaderMap::new();
        for context in contexts {
            headers.append("traceparent", HeaderValue::from_static(context));
        }
        Sampler::new(share).place(&headers, &Rng::seeded(1))
    }

    #[test]
    fn who_began_a_trace_decides_and_else_the_share_does() {
        let (kept, parent) = place(0.0, &[GOOD]);
        assert!(kept.is_sampled && kept.is_continued && parent.is_some());
        let dropped = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        assert!(!place(1.0, &[dropped]).0.is_sampled);
        assert!(place(1.0, &[]).0.is_sampled);
        assert!(!place(0.0, &[]).0.is_sampled);
        let (two, parent) = place(1.0, &[GOOD, GOOD]);
        assert!(!two.is_continued && parent.is_none());
    }

    #[test]
    fn the_share_is_kept() {
        let rng = Rng::seeded(7);
        let sampler = Sampler::new(0.1);
        let kept = (0..10_000).filter(|_| sampler.place(&HeaderMap::new(), &rng).0.is_sampled);
        let kept = kept.count();
        assert!((800..1_200).contains(&kept), "{kept}");
    }
}
