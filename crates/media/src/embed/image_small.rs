//! The built-in image model: a descriptor made by hand. In: a picture. Out: 256 numbers of
//! Euclidean length 1. It describes shape (directions of edges in a 4 x 4 grid), which colours
//! occur, texture (local binary patterns) and where it is light. It finds pictures that *look*
//! alike; it does not know what they show. `cargo xtask bench embed` measures it.

use base::Result;

use crate::decode::DecodedImage;
use crate::embed::normalise;
use crate::measure::{flatten, stretched};

/// Numbers in a vector: 128 of shape, 64 of colour, 59 of texture, 5 of light.
pub(super) const DIMENSION: usize = 256;

/// Pictures are looked at in this size.
const SIDE: usize = 64;
const GRID: usize = 4;
const DIRECTIONS: usize = 8;

/// How much each part says. Chosen on one half of the emoji and of scikit-learn's digits; the other
/// halves, and MNIST as a whole, played no part in the choice.
const WEIGHTS: [f32; 4] = [1.3, 0.6, 1.7, 0.2];

/// The vector of a picture.
pub(super) fn embed(image: &DecodedImage) -> Result<Vec<f32>> {
    let small = flatten(&stretched(image, SIDE as u32, SIDE as u32)?)?;
    let luma = |p: &[u8]| {
        let [red, green, blue] = [p[0], p[1], p[2]].map(f32::from);
        (0.299 * red + 0.587 * green + 0.114 * blue) / 255.0
    };
    let light: Vec<f32> = small.pixels().chunks_exact(3).map(luma).collect();
    let parts = [shape(&light), colors(small.pixels()), texture(&light), arrangement(&light)];
    let weighted = parts
        .into_iter()
        .zip(WEIGHTS)
        .flat_map(|(part, weight)| unit(part).into_iter().map(move |value| value * weight));
    Ok(normalise(weighted.collect()))
}

/// Brings a part to length 1, so that its weight alone says how much it counts; a part without any
/// length (the edges of a plain picture) says nothing.
fn unit(part: Vec<f32>) -> Vec<f32> {
    let length = part.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-9);
    part.into_iter().map(|value| value / length).collect()
}

/// Directions of edges in a grid, each edge shared between the cells and directions next to it.
fn shape(light: &[f32]) -> Vec<f32> {
    // The root makes an edge in the shade count like one in the light.
    let light: Vec<f32> = light.iter().map(|value| value.sqrt()).collect();
    let mut bins = vec![0.0; GRID * GRID * DIRECTIONS];
    let at = |x: usize, y: usize| light[y.min(SIDE - 1) * SIDE + x.min(SIDE - 1)];
    for y in 0..SIDE {
        for x in 0..SIDE {
            let across = at(x + 1, y) - at(x.saturating_sub(1), y);
            let down = at(x, y + 1) - at(x, y.saturating_sub(1));
            let strength = across.hypot(down);
            if strength > 0.0 {
                share_edge(&mut bins, (x, y), down.atan2(across), strength);
            }
        }
    }
    bins.into_iter().map(f32::sqrt).collect()
}

/// Adds one edge to the two directions and four cells around it, by nearness.
fn share_edge(bins: &mut [f32], (x, y): (usize, usize), angle: f32, strength: f32) {
    let turn = (angle / std::f32::consts::TAU).rem_euclid(1.0) * DIRECTIONS as f32;
    let place = |at: usize| (at as f32 + 0.5) * GRID as f32 / SIDE as f32 - 0.5;
    for (column, by_column) in neighbours(place(x)) {
        for (row, by_row) in neighbours(place(y)) {
            for step in 0..2 {
                let direction = (turn as usize + step) % DIRECTIONS;
                let by_direction = if step == 0 { 1.0 - turn.fract() } else { turn.fract() };
                let bin = (row * GRID + column) * DIRECTIONS + direction;
                bins[bin] += strength * by_column * by_row * by_direction;
            }
        }
    }
}

/// The cells on both sides of a place on the grid, each with its share; outside cells get nothing.
fn neighbours(place: f32) -> impl Iterator<Item = (usize, f32)> {
    let low = place.floor();
    let share = place - low;
    [(low, 1.0 - share), (low + 1.0, share)]
        .into_iter()
        .filter(|(cell, _)| (0.0..GRID as f32).contains(cell))
        .map(|(cell, share)| (cell as usize, share))
}

/// Which colours occur: four steps of red, green and blue, rooted so that small areas count.
fn colors(pixels: &[u8]) -> Vec<f32> {
    let mut bins = vec![0.0f32; 64];
    for pixel in pixels.chunks_exact(3) {
        let bin = pixel[..3].iter().fold(0, |bin, value| bin << 2 | usize::from(value >> 6));
        bins[bin] += 1.0;
    }
    bins.into_iter().map(f32::sqrt).collect()
}

/// How often each pattern of brighter and darker neighbours occurs. Patterns that change between
/// the two more than twice around the circle are noise and share the last bin.
fn texture(light: &[f32]) -> Vec<f32> {
    const AROUND: [(usize, usize); 8] =
        [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (1, 2), (0, 2), (0, 1)];
    let bin_of = uniform_patterns();
    let mut bins = vec![0.0f32; 59];
    for y in 0..SIDE - 2 {
        for x in 0..SIDE - 2 {
            let centre = light[(y + 1) * SIDE + x + 1];
            let brighter =
                |(dx, dy): (usize, usize)| light[(y + dy) * SIDE + x + dx] > centre + 0.01;
            let pattern =
                AROUND.iter().fold(0usize, |bits, &at| bits << 1 | usize::from(brighter(at)));
            bins[bin_of[pattern]] += 1.0;
        }
    }
    bins.into_iter().map(f32::sqrt).collect()
}

/// The bin of each of the 256 patterns: 58 that change at most twice, and one for the rest.
fn uniform_patterns() -> [usize; 256] {
    let mut next = 0;
    std::array::from_fn(|pattern| {
        let pattern = pattern as u8;
        let changes = (pattern ^ pattern.rotate_right(1)).count_ones();
        let bin = if changes <= 2 { next } else { 58 };
        next += usize::from(changes <= 2);
        bin
    })
}

/// How light the quarters and the middle are, as departures from grey.
fn arrangement(light: &[f32]) -> Vec<f32> {
    const HALF: usize = SIDE / 2;
    const CORNERS: [(usize, usize); 5] =
        [(0, 0), (HALF, 0), (0, HALF), (HALF, HALF), (HALF / 2, HALF / 2)];
    let mean = |(left, top): (usize, usize)| {
        let rows = light.chunks_exact(SIDE).skip(top).take(HALF);
        let sum: f32 = rows.flat_map(|row| &row[left..left + HALF]).sum();
        sum / (HALF * HALF) as f32 - 0.5
    };
    CORNERS.into_iter().map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fill_the_vector_and_plain_pictures_have_one() {
        assert_eq!(uniform_patterns().iter().max(), Some(&58));
        for color in [[0; 3], [255; 3], [9, 200, 30]] {
            let image = DecodedImage::new(3, 2, false, color.repeat(6)).expect("fits");
            let vector = embed(&image).expect("embeds");
            assert_eq!(vector.len(), DIMENSION);
            let length: f32 = vector.iter().map(|value| value * value).sum();
            assert!((length - 1.0).abs() < 1e-4, "{length}");
        }
    }
}
