//! Generated rows: the same for a seed, wherever they are made.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Result;
use base::rng::Rng;

/// Countries by how often they occur.
const COUNTRIES: [&str; 8] = ["US", "IN", "BR", "DE", "JP", "FR", "NL", "IS"];
/// The seed of everything.
const SEED: u64 = 20_261_123;

/// Playing events: `userId,filmId,at,seconds,rating,country`, about 50 bytes a row.
pub(crate) fn plays(folder: &Path, rows: u64) -> Result<PathBuf> {
    let path = folder.join(format!("plays-{rows}.csv"));
    write_once(&path, |out| {
        let rng = Rng::seeded(SEED);
        writeln!(out, "userId,filmId,at,seconds,rating,country")?;
        for _ in 0..rows {
            // The smaller of two draws: some users and films are played far more than others.
            let user = rng.below(1_000_000).min(rng.below(1_000_000));
            let film = rng.below(20_000).min(rng.below(20_000));
            let (day, hour, minute) = (1 + rng.below(28), rng.below(24), rng.below(60));
            let (seconds, second) = (rng.below(7200), rng.below(60));
            let rating = rng.below(51) as f64 / 10.0;
            let country = COUNTRIES[(rng.below(64).isqrt()) as usize];
            writeln!(
                out,
                "{user},{film},2026-04-{day:02}T{hour:02}:{minute:02}:{second:02}Z,{seconds},{rating},{country}"
            )?;
        }
        Ok(())
    })?;
    Ok(path)
}

/// People by key: `id,name,country,joined,score`.
pub(crate) fn people(folder: &Path, rows: u64) -> Result<PathBuf> {
    let path = folder.join(format!("people-{rows}.csv"));
    write_once(&path, |out| {
        let rng = Rng::seeded(SEED + 1);
        writeln!(out, "id,name,country,joined,score")?;
        for id in 0..rows {
            let country = COUNTRIES[(rng.below(64).isqrt()) as usize];
            let (day, score) = (1 + rng.below(28), rng.below(1_000_000) as f64 / 1000.0);
            writeln!(
                out,
                "{id},Person {:x},{country},2025-02-{day:02},{score}",
                rng.below(1 << 40)
            )?;
        }
        Ok(())
    })?;
    Ok(path)
}

/// Documents: `id,title,body`; words by Zipf's law from a vocabulary of 30,000.
pub(crate) fn documents(folder: &Path, rows: u64) -> Result<PathBuf> {
    let path = folder.join(format!("documents-{rows}.csv"));
    write_once(&path, |out| {
        let rng = Rng::seeded(SEED + 2);
        let words = Words::new();
        writeln!(out, "id,title,body")?;
        for id in 0..rows {
            let title = words.text(&rng, 5);
            writeln!(out, "{id},{title},{}", words.text(&rng, 40 + rng.below(40)))?;
        }
        Ok(())
    })?;
    Ok(path)
}

/// A vocabulary whose n-th word occurs in proportion to 1/n.
pub(crate) struct Words {
    /// Ends of the words' shares, growing to 1.
    ends: Vec<f64>,
}

impl Words {
    const COUNT: usize = 30_000;

    pub(crate) fn new() -> Words {
        let mut ends: Vec<f64> = Vec::with_capacity(Words::COUNT);
        let mut sum = 0.0;
        for rank in 1..=Words::COUNT {
            sum += 1.0 / rank as f64;
            ends.push(sum);
        }
        ends.iter_mut().for_each(|end| *end /= sum);
        Words { ends }
    }

    /// The word of a rank: syllables that spell the number.
    pub(crate) fn word(rank: usize) -> String {
        const SYLLABLES: [&str; 16] = [
            "ka", "lo", "mi", "tu", "re", "sa", "vo", "ni", "du", "pe", "ga", "zo", "fi", "hu",
            "be", "ya",
        ];
        let mut word = String::new();
        let mut rest = rank + 16;
        while rest > 0 {
            word.push_str(SYLLABLES[rest % 16]);
            rest /= 16;
        }
        word
    }

    /// A word drawn by its share.
    pub(crate) fn draw(&self, rng: &Rng) -> String {
        let share = rng.below(1 << 52) as f64 / (1_u64 << 52) as f64;
        Words::word(self.ends.partition_point(|end| *end < share).min(Words::COUNT - 1))
    }

    fn text(&self, rng: &Rng, count: u64) -> String {
        let words: Vec<String> = (0..count).map(|_| self.draw(rng)).collect();
        words.join(" ")
    }
}

/// Vectors around some centres, so that near ones exist, and questions from the same distribution.
pub(crate) fn vectors(count: usize, dimension: usize, stream: u64) -> Vec<Vec<f32>> {
    const CENTRES: usize = 1000;
    let rng = Rng::seeded(SEED + 3);
    let centres: Vec<Vec<f32>> = (0..CENTRES).map(|_| normal(&rng, dimension)).collect();
    let rng = Rng::seeded(SEED + 4 + stream);
    let near = |centre: &Vec<f32>| {
        let off = normal(&rng, dimension);
        centre.iter().zip(off).map(|(middle, off)| middle + 0.6 * off).collect()
    };
    (0..count).map(|_| near(&centres[rng.below(CENTRES as u64) as usize])).collect()
}

/// Numbers that are about normally distributed: sums of uniform ones.
fn normal(rng: &Rng, dimension: usize) -> Vec<f32> {
    let uniform = || rng.below(1 << 24) as f32 / (1 << 24) as f32 - 0.5;
    (0..dimension).map(|_| (0..6).map(|_| uniform()).sum::<f32>() * 1.414).collect()
}

/// Writes a file unless it is there; a half-written one never has its name.
fn write_once(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    if path.is_file() {
        return Ok(());
    }
    let partial = path.with_extension("partial");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&partial)?);
    write(&mut out)?;
    out.flush()?;
    Ok(fs::rename(partial, path)?)
}
