//! The perceptual hash: what a picture looks like in 64 bits. In: luma. Out: the signs of its 64
//! lowest cosine frequencies (of a 32 x 32 copy) against their median, so that scaling, light
//! compression and small changes of brightness leave almost all bits as they are.

use std::f32::consts::PI;

use base::Result;
use fast_image_resize::PixelType;

use crate::measure::quality::Luma;
use crate::measure::scale::resize;

const SIDE: usize = 32;
const LOW: usize = 8;

/// The hash; bit 63 is the lowest frequency.
pub(super) fn hash(luma: &Luma) -> Result<u64> {
    let from = (luma.width as u32, luma.height as u32);
    let small = resize(&luma.values, from, (SIDE as u32, SIDE as u32), PixelType::U8)?;
    let low = low_frequencies(&small);
    let mut sorted = low;
    sorted.sort_by(f32::total_cmp);
    let median = (sorted[LOW * LOW / 2 - 1] + sorted[LOW * LOW / 2]) / 2.0;
    Ok(low.iter().fold(0, |bits, &value| bits << 1 | u64::from(value > median)))
}

/// The 8 x 8 lowest coefficients of the two-dimensional DCT-II, unscaled.
fn low_frequencies(pixels: &[u8]) -> [f32; LOW * LOW] {
    let mut cosines = [[0.0f32; SIDE]; LOW];
    for (frequency, row) in cosines.iter_mut().enumerate() {
        for (at, value) in row.iter_mut().enumerate() {
            *value = (PI * frequency as f32 * (2 * at + 1) as f32 / (2 * SIDE) as f32).cos();
        }
    }
    let mut rows = [[0.0f32; LOW]; SIDE];
    for (row, line) in rows.iter_mut().zip(pixels.chunks_exact(SIDE)) {
        for (value, wave) in row.iter_mut().zip(&cosines) {
            *value = line.iter().zip(wave).map(|(&p, c)| f32::from(p) * c).sum();
        }
    }
    let mut answer = [0.0; LOW * LOW];
    for (index, value) in answer.iter_mut().enumerate() {
        let (vertical, horizontal) = (index / LOW, index % LOW);
        *value = (0..SIDE).map(|y| rows[y][horizontal] * cosines[vertical][y]).sum();
    }
    answer
}
