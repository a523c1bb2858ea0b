//! Reads the manifests of Lance datasets without the library that wrote them.
//!
//! In: the bytes of a manifest file: messages of protocol buffers, found by a footer. Out: the files of
//! the dataset that the version refers to, and the folders of its indexes. Not here: which versions
//! there are (`reach`).

use anyhow::{Context, Result, bail, ensure};

/// What a version refers to, relative to its dataset.
#[derive(Debug, Default)]
pub(crate) struct Refers {
    pub(crate) files: Vec<String>,
    pub(crate) index_folders: Vec<String>,
}

/// One field of a message.
enum Part<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Reads a manifest file.
pub(crate) fn refers(file: &[u8]) -> Result<Refers> {
    ensure!(file.ends_with(b"LANC"), "a manifest has no footer");
    let footer = file.get(file.len().wrapping_sub(16)..).context("a manifest is too short")?;
    let position = u64::from_le_bytes(footer[..8].try_into()?);
    let mut refers = Refers::default();
    for (number, part) in fields(message(file, position)?)? {
        match (number, part) {
            (2, Part::Bytes(fragment)) => add_fragment(&mut refers, fragment)?,
            (6, Part::Number(position)) => add_indexes(&mut refers, message(file, position)?)?,
            (12, Part::Bytes(name)) if !name.is_empty() => {
                refers.files.push(format!("_transactions/{}", String::from_utf8_lossy(name)));
            }
            _ => {}
        }
    }
    Ok(refers)
}

/// The message at a position, after its length.
fn message(file: &[u8], position: u64) -> Result<&[u8]> {
    let start = usize::try_from(position)?;
    let length = file.get(start..start + 4).context("a manifest points behind its end")?;
    let length = u32::from_le_bytes(length.try_into()?) as usize;
    file.get(start + 4..start + 4 + length).context("a message of a manifest is cut off")
}

fn add_fragment(refers: &mut Refers, fragment: &[u8]) -> Result<()> {
    let parts = fields(fragment)?;
    let id = number_of(&parts, 1);
    for (number, part) in &parts {
        match (number, part) {
            (2, Part::Bytes(data)) => {
                for (number, part) in fields(data)? {
                    if let (1, Part::Bytes(path)) = (number, part) {
                        refers.files.push(format!("data/{}", String::from_utf8_lossy(path)));
                    }
                }
            }
            (3, Part::Bytes(deleted)) => {
                let parts = fields(deleted)?;
                let ending = if number_of(&parts, 1) == 0 { "arrow" } else { "bin" };
                let (version, name) = (number_of(&parts, 2), number_of(&parts, 3));
                refers.files.push(format!("_deletions/{id}-{version}-{name}.{ending}"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn add_indexes(refers: &mut Refers, section: &[u8]) -> Result<()> {
    for (_, index) in fields(section)? {
        let Part::Bytes(index) = index else { continue };
        for (number, part) in fields(index)? {
            if let (1, Part::Bytes(uuid)) = (number, part)
                && let Some((_, Part::Bytes(bytes))) = fields(uuid)?.into_iter().next()
            {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| &hex[range]);
                refers.index_folders.push(format!("_indices/{}", groups.join("-")));
            }
        }
    }
    Ok(())
}

fn number_of(parts: &[(u64, Part<'_>)], wanted: u64) -> u64 {
    let found = parts.iter().find_map(|(number, part)| match part {
        Part::Number(value) if *number == wanted => Some(*value),
        _ => None,
    });
    found.unwrap_or(0)
}

fn fields(mut bytes: &[u8]) -> Result<Vec<(u64, Part<'_>)>> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let part = match tag & 7 {
            0 => Part::Number(varint(&mut bytes)?),
            1 => Part::Bytes(take(&mut bytes, 8)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?)?;
                Part::Bytes(take(&mut bytes, length)?)
            }
            5 => Part::Bytes(take(&mut bytes, 4)?),
            other => bail!("a message has a field of kind {other}"),
        };
        parts.push((tag >> 3, part));
    }
    Ok(parts)
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    let taken = bytes.get(..count).context("a message ends too early")?;
    *bytes = &bytes[count..];
    Ok(taken)
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    bail!("a number of a message has no end")
}
