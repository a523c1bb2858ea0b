//! Sharpness, exposure and mean colour of a small opaque picture; [`crate::Measured`] says what
//! each number means.

use crate::decode::DecodedImage;

/// Brightness as the eye weighs it (Rec. 601), one byte a pixel.
pub(crate) struct Luma {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) values: Vec<u8>,
}

/// The luma of an opaque picture.
pub(crate) fn luma(image: &DecodedImage) -> Luma {
    let weigh = |p: &[u8]| {
        let sum = 19_595 * u32::from(p[0]) + 38_470 * u32::from(p[1]) + 7_471 * u32::from(p[2]);
        u8::try_from((sum + 32_768) >> 16).unwrap_or(u8::MAX)
    };
    Luma {
        width: image.width() as usize,
        height: image.height() as usize,
        values: image.pixels().chunks_exact(3).map(weigh).collect(),
    }
}

/// `v / (v + 100)` of the variance of the Laplacian; 0 for a picture too small to have one.
pub(super) fn sharpness(luma: &Luma) -> f64 {
    let (width, height) = (luma.width, luma.height);
    if width < 3 || height < 3 {
        return 0.0;
    }
    let at = |x: usize, y: usize| i64::from(luma.values[y * width + x]);
    let (mut sum, mut squares) = (0i64, 0i64);
    for y in 1..height - 1 {
        for x in 1..width - 1 {
            let around = at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1);
            let edge = around - 4 * at(x, y);
            sum += edge;
            squares += edge * edge;
        }
    }
    let count = ((width - 2) * (height - 2)) as f64;
    let mean = sum as f64 / count;
    let variance = (squares as f64 / count - mean * mean).max(0.0);
    variance / (variance + 100.0)
}

/// The mean of brightness and clipping, each from -1 to 1.
pub(super) fn exposure(luma: &Luma) -> f64 {
    const CLIPPED_DARK: u8 = 4;
    const CLIPPED_BRIGHT: u8 = 251;
    let count = luma.values.len() as f64;
    let sum: u64 = luma.values.iter().map(|&value| u64::from(value)).sum();
    let share =
        |test: &dyn Fn(u8) -> bool| luma.values.iter().filter(|&&v| test(v)).count() as f64 / count;
    let brightness = 2.0 * (sum as f64 / count / 255.0) - 1.0;
    let clipping = share(&|v| v >= CLIPPED_BRIGHT) - share(&|v| v <= CLIPPED_DARK);
    ((brightness + clipping) / 2.0).clamp(-1.0, 1.0)
}

/// The mean of each channel, as `#rrggbb`.
pub(super) fn mean_color(image: &DecodedImage) -> String {
    let mut sums = [0u64; 3];
    for pixel in image.pixels().chunks_exact(3) {
        for (sum, &value) in sums.iter_mut().zip(pixel) {
            *sum += u64::from(value);
        }
    }
    let count = u64::from(image.width()) * u64::from(image.height());
    let [red, green, blue] = sums.map(|sum| (sum + count / 2) / count);
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(side: u32, color: impl Fn(u32, u32) -> [u8; 3]) -> DecodedImage {
        let pixels = (0..side * side).flat_map(|i| color(i % side, i / side)).collect();
        DecodedImage::new(side, side, false, pixels).expect("fits")
    }

    #[test]
    fn exposure_runs_from_black_over_grey_to_white() {
        let of = |value: u8| exposure(&luma(&plain(8, |_, _| [value; 3])));
        assert_eq!(of(0), -1.0);
        assert_eq!(of(255), 1.0);
        assert!(of(128).abs() < 0.01);
        assert!(of(60) < -0.2 && of(200) > 0.2);
    }

    #[test]
    fn blur_lowers_sharpness() {
        let check = |x: u32, y: u32| if (x / 4 + y / 4).is_multiple_of(2) { 255.0 } else { 0.0 };
        let sharp = plain(64, |x, y| [check(x, y) as u8; 3]);
        let blurred = plain(64, |x, y| {
            let near = (0..7).flat_map(|i| (0..7).map(move |j| check(x + i, y + j)));
            [(near.sum::<f64>() / 49.0) as u8; 3]
        });
        let flat = plain(64, |_, _| [90; 3]);
        let of = |image: &DecodedImage| sharpness(&luma(image));
        assert!(of(&sharp) > 0.9, "{}", of(&sharp));
        assert!(of(&blurred) < of(&sharp));
        assert_eq!(of(&flat), 0.0);
    }

    #[test]
    fn the_mean_colour_is_the_mean_of_each_channel() {
        let halves = plain(2, |x, _| if x == 0 { [255, 0, 16] } else { [0, 0, 32] });
        assert_eq!(mean_color(&halves), "#800018");
    }
}
