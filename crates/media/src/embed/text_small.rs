//! The built-in text model: hashed words, pairs of words and parts of words. It is *lexical*: it
//! finds texts that share words or spell them alike ("colour", "colors"), not texts that mean the
//! same in other words. In: any text. Out: 256 numbers. It knows no language and no corpus, so it
//! gives the same vector everywhere and for ever.

use std::collections::BTreeMap;

use crate::embed::normalise;

/// Numbers in a vector.
pub(super) const DIMENSION: usize = 256;

/// Texts are read up to here; what follows does not change the vector.
const MAX_CHARS: usize = 20_000;

/// Each feature touches this many numbers, so that two features that collide in one of them still
/// differ in the others.
const SPREAD: u64 = 4;

/// The vector of a text.
pub(super) fn embed(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0f32; DIMENSION];
    for (feature, (count, weight)) in features(text) {
        // The tenth mention of a word says less than the second.
        let strength = weight * (1.0 + (count as f32).ln());
        for turn in 0..SPREAD {
            let bits = mix(feature ^ turn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let sign = if bits >> 63 == 0 { 1.0 } else { -1.0 };
            vector[(bits % DIMENSION as u64) as usize] += sign * strength;
        }
    }
    normalise(vector)
}

/// Every feature's hash with how often it occurs and what it weighs, in a fixed order so that sums
/// of floats are the same on every machine.
fn features(text: &str) -> BTreeMap<u64, (u32, f32)> {
    let text: String = text.chars().take(MAX_CHARS).flat_map(char::to_lowercase).collect();
    let words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let mut found = BTreeMap::new();
    let mut add = |kind: u8, parts: &[&str], weight: f32| {
        found.entry(hash(kind, parts)).or_insert((0, weight)).0 += 1;
    };
    for word in &words {
        add(b'w', &[word], word_weight(word));
        let bounded: Vec<char> = format!("<{word}>").chars().collect();
        for length in 3..=5 {
            for part in bounded.windows(length) {
                add(b'p', &[&part.iter().collect::<String>()], 0.25 * word_weight(word));
            }
        }
    }
    for pair in words.windows(2) {
        add(b'2', pair, 0.5 * word_weight(pair[0]).min(word_weight(pair[1])));
    }
    if words.is_empty() && !text.trim().is_empty() {
        // Symbols alone: the text as a whole is its only feature.
        add(b's', &[text.trim()], 1.0);
    }
    found
}

/// Without a corpus, length is the best sign of how much a word tells: articles and prepositions
/// are short in most languages that are written with spaces.
fn word_weight(word: &str) -> f32 {
    match word.chars().count() {
        _ if !word.is_ascii() => 1.0,
        0..=2 => 0.25,
        3 => 0.5,
        _ => 1.0,
    }
}

fn hash(kind: u8, parts: &[&str]) -> u64 {
    let separated = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    let fnv = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    mix([kind].into_iter().chain(separated).fold(0xcbf2_9ce4_8422_2325, fnv))
}

/// Spreads every bit of the input over all bits of the output.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likeness(left: &str, right: &str) -> f32 {
        embed(left).iter().zip(embed(right)).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_that_share_words_or_spelling_are_near() {
        let query = "a silent film about the sea";
        assert!(
            likeness(query, "Silent films of the SEA")
                > likeness(query, "a loud play about cars") + 0.2
        );
        assert!(likeness("colour", "colours") > likeness("colour", "planet") + 0.3);
        assert!(likeness("night train", "train night") < 0.999, "order counts a little");
        assert!((likeness("Äpfel und Öl", "äpfel UND öl") - 1.0).abs() < 1e-5);
    }

    #[test]
    fn every_text_has_a_vector_of_length_one() {
        for text in ["", " \n", "!", "♥♥", "a", "東京", &"word ".repeat(50_000)] {
            let vector = embed(text);
            let length: f32 = vector.iter().map(|v| v * v).sum();
            assert_eq!(vector.len(), DIMENSION);
            assert!((length - 1.0).abs() < 1e-4, "{text:.9} has length {length}");
        }
        assert!(likeness("♥", "!") < 0.9);
    }

    #[test]
    fn a_vector_is_the_same_for_ever() {
        let digest = embed("The river begins here")
            .iter()
            .fold(0u64, |d, v| mix(d ^ u64::from(v.to_bits() >> 8)));
        insta::assert_snapshot!(format!("{digest:016x}"), @"16990f05da1786e3");
    }
}
