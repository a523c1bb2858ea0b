//! The demo's sample: MovieLens 100k and photographs, or a generated stand-in of the same shape.
//!
//! In: the folders of the two data sets, or nothing. Out: `films.csv`, `users.csv`, `ratings.csv`
//! and a folder `photos` of image files.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::data;

/// Makes the sample in `folder`; says what it is made of.
pub(crate) fn make(folder: &Path, offline: bool) -> Result<String> {
    fs::create_dir_all(folder.join("photos"))?;
    if offline {
        generate(folder)?;
        return Ok(
            "generated, as --offline asked: 600 films, 300 users, 20,000 ratings, 24 pictures"
                .to_owned(),
        );
    }
    match (data::folder("movielens"), data::folder("photographs")) {
        (Ok(movielens), Ok(photographs)) => {
            convert_movielens(&movielens.join("recbole/dataset_example/ml-100k"), folder)?;
            copy_photographs(&photographs.join("skimage/data"), &folder.join("photos"))?;
            Ok("MovieLens 100k (GroupLens, research use) and scikit-image's photographs".to_owned())
        }
        (Err(error), _) | (_, Err(error)) => {
            generate(folder)?;
            let reason = error.to_string();
            let reason = reason.lines().next().unwrap_or_default();
            Ok(format!("generated, because the public one could not be fetched ({reason})"))
        }
    }
}

/// RecBole's tab-separated files, to CSV with the names that the schema uses.
fn convert_movielens(source: &Path, folder: &Path) -> Result<()> {
    let read = |name: &str| {
        let path = source.join(name);
        fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))
    };
    let mut films = String::from("id,title,year,genres\n");
    for row in read("ml-100k.item")?.lines().skip(1) {
        let mut cells = row.split('\t');
        let mut next = || cells.next().unwrap_or_default().trim();
        let (id, title, year, genres) = (next(), next(), next(), next());
        let year = if year.parse::<u16>().is_ok() { year } else { "" };
        writeln!(films, "{id},{},{year},{}", quoted(title), genres.replace(' ', "|"))?;
    }
    fs::write(folder.join("films.csv"), films)?;
    let mut users = String::from("id,age,occupation\n");
    for row in read("ml-100k.user")?.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        if let [id, age, _, occupation, ..] = cells[..] {
            writeln!(users, "{id},{age},{occupation}")?;
        }
    }
    fs::write(folder.join("users.csv"), users)?;
    let mut ratings = String::from("userId,filmId,stars,at\n");
    for row in read("ml-100k.inter")?.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        if let [user, film, stars, seconds] = cells[..] {
            let seconds: i64 = seconds.trim().parse()?;
            writeln!(ratings, "{user},{film},{stars},{}", date_time(seconds))?;
        }
    }
    fs::write(folder.join("ratings.csv"), ratings)?;
    Ok(())
}

/// A CSV cell that may hold commas and quotes.
fn quoted(text: &str) -> String {
    if text.contains([',', '"']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// RFC 3339 in UTC, from seconds since the epoch (days to civil date after Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms").
fn date_time(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400);
    let second = seconds.rem_euclid(86_400);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

fn copy_photographs(source: &Path, folder: &Path) -> Result<()> {
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        let name = entry.file_name();
        let name_text = name.to_string_lossy();
        // The package carries a few test patterns beside the photographs; those are left out.
        let is_photograph = ["png", "jpg"].iter().any(|suffix| name_text.ends_with(suffix))
            && !name_text.starts_with("chessboard");
        if is_photograph {
            fs::copy(entry.path(), folder.join(&name))?;
        }
    }
    Ok(())
}

/// The same shape without a network; always the same bytes.
fn generate(folder: &Path) -> Result<()> {
    let mut random = Sequence(42);
    let adjectives = ["Silent", "Golden", "Lost", "Crimson", "Second", "Hidden", "Star", "Winter"];
    let nouns = ["River", "Harbour", "Garden", "Station", "Mirror", "Voyage", "Signal", "House"];
    let genres = ["Drama", "Comedy", "Action", "Thriller", "Documentary", "Animation"];
    let mut films = String::from("id,title,year,genres\n");
    for id in 1..=600 {
        let title = format!("The {} {} {id}", random.pick(&adjectives), random.pick(&nouns));
        let year = 1930 + random.below(95);
        writeln!(films, "{id},{title},{year},{}|{}", random.pick(&genres), random.pick(&genres))?;
    }
    fs::write(folder.join("films.csv"), films)?;
    let jobs = ["engineer", "artist", "student", "teacher", "doctor"];
    let mut users = String::from("id,age,occupation\n");
    for id in 1..=300 {
        writeln!(users, "{id},{},{}", 16 + random.below(60), random.pick(&jobs))?;
    }
    fs::write(folder.join("users.csv"), users)?;
    let mut ratings = String::from("userId,filmId,stars,at\n");
    for _ in 0..20_000 {
        let user = 1 + random.below(300);
        // The product of two draws makes few films popular and most rare, as real ratings are.
        let film = 1 + random.below(600) * random.below(600) / 600;
        let seconds = 1_600_000_000 + random.below(150_000_000) as i64;
        writeln!(ratings, "{user},{film},{},{}", 1 + random.below(5), date_time(seconds))?;
    }
    fs::write(folder.join("ratings.csv"), ratings)?;
    for index in 0..24 {
        fs::write(
            folder.join(format!("photos/pattern-{index:02}.ppm")),
            pattern(index, &mut random),
        )?;
    }
    Ok(())
}

/// A small portable pixmap: rings or stripes in one of a few colours, so that some look alike.
fn pattern(index: u64, random: &mut Sequence) -> Vec<u8> {
    const SIZE: u64 = 160;
    let mut bytes = format!("P6\n{SIZE} {SIZE}\n255\n").into_bytes();
    let (red, green, blue) = [(220, 90, 60), (60, 130, 220), (80, 190, 110)][(index % 3) as usize];
    let scale = 6 + random.below(10);
    for y in 0..SIZE {
        for x in 0..SIZE {
            let (dx, dy) = (x.abs_diff(SIZE / 2), y.abs_diff(SIZE / 2));
            let phase = if index.is_multiple_of(2) {
                (dx * dx + dy * dy) / (scale * 12)
            } else {
                (x + y) / scale
            };
            let light = if phase.is_multiple_of(2) { 255 } else { 110 };
            for channel in [red, green, blue] {
                bytes.push((channel * light / 255) as u8);
            }
        }
    }
    bytes
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every machine.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_civil_dates() {
        assert_eq!(date_time(0), "1970-01-01T00:00:00Z");
        assert_eq!(date_time(881_250_949), "1997-12-04T15:55:49Z");
        assert_eq!(date_time(951_782_400), "2000-02-29T00:00:00Z");
    }

    #[test]
    fn the_generated_sample_is_always_the_same() {
        assert_eq!(pattern(3, &mut Sequence(1)), pattern(3, &mut Sequence(1)));
        assert_ne!(pattern(3, &mut Sequence(1)), pattern(4, &mut Sequence(1)));
    }
}
