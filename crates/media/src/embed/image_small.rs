//! The built-in image model: a descriptor made by hand. In: a picture. Out: 256 numbers of
//! Euclidean length 1. It describes shape (directions of edges in a 4 x 4 grid), the arrangement of
//! colours (means in a 4 x 4 grid), which colours occur, and texture (local binary patterns). It
//! finds pictures that *look* alike; it does not know what they show.

use base::Result;

use crate::decode::DecodedImage;
use crate::embed::normalise;
use crate::measure::{flatten, stretched};

/// Numbers in a vector: 128 of shape, 48 of arrangement, 48 of colour, 32 of texture.
pub(super) const DIMENSION: usize = 256;

/// Pictures are looked at in this size.
const SIDE: usize = 64;
const GRID: usize = 4;
const DIRECTIONS: usize = 8;

/// How much each part says; found on the training halves that `docs/reference/datasets.md` names.
const WEIGHTS: [f32; 4] = [1.0, 0.7, 0.5, 0.3];

/// The vector of a picture.
pub(super) fn embed(image: &DecodedImage) -> Result<Vec<f32>> {
    let small = flatten(&stretched(image, SIDE as u32, SIDE as u32)?)?;
    let planes = Planes::of(&small);
    let parts = [shape(&planes), arrangement(&planes), colors(&planes), texture(&planes)];
    let weighted = parts
        .into_iter()
        .zip(WEIGHTS)
        .flat_map(|(part, weight)| normalise(part).into_iter().map(move |value| value * weight));
    Ok(normalise(weighted.collect()))
}

/// Opponent colours: brightness, red against green, yellow against blue; each about 0 to 1.
struct Planes {
    light: Vec<f32>,
    red_green: Vec<f32>,
    yellow_blue: Vec<f32>,
}

impl Planes {
    fn of(image: &DecodedImage) -> Self {
        let mut planes =
            Planes { light: Vec::new(), red_green: Vec::new(), yellow_blue: Vec::new() };
        for pixel in image.pixels().chunks_exact(3) {
            let [red, green, blue] = [0, 1, 2].map(|channel| f32::from(pixel[channel]) / 255.0);
            planes.light.push(0.299 * red + 0.587 * green + 0.114 * blue);
            planes.red_green.push(0.5 + (red - green) / 2.0);
            planes.yellow_blue.push(0.5 + (red + green) / 4.0 - blue / 2.0);
        }
        planes
    }
}

/// Directions of edges in a grid, each edge shared between the cells and directions next to it.
fn shape(planes: &Planes) -> Vec<f32> {
    let light: Vec<f32> = planes.light.iter().map(|value| value.sqrt()).collect();
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

/// Mean colours in a grid, as departures from grey.
fn arrangement(planes: &Planes) -> Vec<f32> {
    let mut answer = Vec::with_capacity(3 * GRID * GRID);
    for plane in [&planes.light, &planes.red_green, &planes.yellow_blue] {
        let mut cells = [0.0f32; GRID * GRID];
        for (index, value) in plane.iter().enumerate() {
            let (x, y) = (index % SIDE * GRID / SIDE, index / SIDE * GRID / SIDE);
            cells[y * GRID + x] += value - 0.5;
        }
        answer.extend(cells.map(|sum| sum * (GRID * GRID) as f32 / (SIDE * SIDE) as f32));
    }
    answer
}

/// Which colours occur: 3 steps of brightness by 4 by 4 of colour, rooted so that small areas count.
fn colors(planes: &Planes) -> Vec<f32> {
    let mut bins = vec![0.0f32; 48];
    let step = |value: f32, steps: usize| ((value * steps as f32) as usize).min(steps - 1);
    for (index, &light) in planes.light.iter().enumerate() {
        // Colours crowd around grey; stretching them apart fills the bins more evenly.
        let spread = |value: f32| 0.5 + (value - 0.5).abs().sqrt() * (value - 0.5).signum() * 0.75;
        let red_green = step(spread(planes.red_green[index]).clamp(0.0, 1.0), 4);
        let yellow_blue = step(spread(planes.yellow_blue[index]).clamp(0.0, 1.0), 4);
        bins[(step(light, 3) * 4 + red_green) * 4 + yellow_blue] += 1.0;
    }
    bins.into_iter().map(f32::sqrt).collect()
}

/// Local binary patterns of brightness, folded to 32 bins.
fn texture(planes: &Planes) -> Vec<f32> {
    const AROUND: [(isize, isize); 8] =
        [(-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0)];
    let mut bins = vec![0.0f32; 32];
    for y in 1..SIDE as isize - 1 {
        for x in 1..SIDE as isize - 1 {
            let at = |x: isize, y: isize| planes.light[(y * SIDE as isize + x) as usize];
            let brighter = |(dx, dy): (isize, isize)| at(x + dx, y + dy) > at(x, y) + 0.01;
            let pattern =
                AROUND.iter().fold(0usize, |bits, &step| bits << 1 | usize::from(brighter(step)));
            bins[pattern % 32] += 1.0;
        }
    }
    bins.into_iter().map(f32::sqrt).collect()
}
