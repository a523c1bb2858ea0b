//! Gives back pages of the program that only starting it touched: code and tables that the kernel reads
//! again from the file when they are needed.
//!
//! In: what the kernel says of this process's mappings. Out: a process that holds what serving needs. It
//! maps a program in large pieces, so that what starting touches here and there is most of it. Not here:
//! the heap, which gives its own pages back.

use std::ops::Range;

/// Gives them back, where the kernel says what may be given back; elsewhere nothing happens.
#[cfg(target_os = "linux")]
pub(crate) fn give_back_startup() {
    let program = std::fs::read_link("/proc/self/exe");
    let mappings = std::fs::read_to_string("/proc/self/smaps");
    let (Ok(program), Ok(mappings)) = (program, mappings) else { return };
    for range in unchanged(&mappings, &program.to_string_lossy()) {
        advise(range);
    }
}

/// Elsewhere nothing says what may be given back.
#[cfg(not(target_os = "linux"))]
pub(crate) fn give_back_startup() {}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "there is no other way to tell the kernel")]
fn advise(range: Range<usize>) {
    use nix::sys::mman::{MmapAdvise, madvise};
    let Some(start) = std::ptr::NonNull::new(std::ptr::with_exposed_provenance_mut(range.start))
    else {
        return;
    };
    // SAFETY: The range is one mapping of the program's file that is not writable and of which no page
    // differs from the file, so that whoever touches it afterwards finds the same bytes.
    let advised = unsafe { madvise(start, range.len(), MmapAdvise::MADV_DONTNEED) };
    if let Err(error) = advised {
        tracing::debug!("failed to give pages of the program back: {error}");
    }
}

/// The mappings of a file that are not writable and hold no page of the process's own, in memory or swapped
/// out: what the loader filled in would be lost. The kernel ends what it says of each with its flags.
fn unchanged(mappings: &str, file: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut candidate = None;
    for line in mappings.lines() {
        if let Some(range) = mapped(line) {
            let is_writable = line.split(' ').nth(1).is_none_or(|rights| rights.contains('w'));
            let is_of_file = line.split_once('/').is_some_and(|(_, path)| path == &file[1..]);
            candidate = Some(range).filter(|_| is_of_file && !is_writable);
        } else if let Some((name, size)) = line.split_once(':') {
            match name {
                "Anonymous" | "Swap" if size.trim() != "0 kB" => candidate = None,
                "VmFlags" => found.extend(candidate.take()),
                _ => {}
            }
        }
    }
    found
}

/// The addresses at the head of a mapping: `55d0c0a00000-55d0c4e52000 r--p …`.
fn mapped(line: &str) -> Option<Range<usize>> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    let address = |text: &str| usize::from_str_radix(text, 16).ok();
    Some(address(start)?..address(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_as_in_the_file_is_given_back() {
        let mappings = "\
1000-3000 r--p 00000000 fe:00 7  /opt/bin/headwater\nRss: 8 kB\nAnonymous:             0 kB\nSwap: 0 kB\nVmFlags: rd
3000-9000 r-xp 00002000 fe:00 7  /opt/bin/headwater\nAnonymous:             0 kB\nSwap: 0 kB\nVmFlags: rd
9000-a000 r--p 00008000 fe:00 7  /opt/bin/headwater\nAnonymous:             4 kB\nSwap: 0 kB\nVmFlags: rd
9800-a000 r--p 00008000 fe:00 7  /opt/bin/headwater\nAnonymous:             0 kB\nSwap: 4 kB\nVmFlags: rd
a000-b000 rw-p 00009000 fe:00 7  /opt/bin/headwater\nAnonymous:             0 kB\nSwap: 0 kB\nVmFlags: rd
c000-d000 r-xp 00000000 fe:00 8  /usr/lib/libc.so.6\nAnonymous:             0 kB\nSwap: 0 kB\nVmFlags: rd
e000-f000 r-xp 00000000 00:00 0\nAnonymous:             0 kB\nSwap: 0 kB\nVmFlags: rd
";
        assert_eq!(unchanged(mappings, "/opt/bin/headwater"), [0x1000..0x3000, 0x3000..0x9000]);
        assert!(unchanged(mappings, "/opt/bin/other").is_empty());
    }

    #[test]
    fn the_program_goes_on_as_before() {
        give_back_startup();
        assert_eq!(format!("{:?}", [1, 2, 3].map(|one| one * 2)), "[2, 4, 6]");
        give_back_startup();
    }
}
