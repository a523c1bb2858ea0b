//! Which files are chosen, by their sizes and by what is deleted of them: contents of made-up files in,
//! names out.

use std::sync::Arc;

use iceberg::spec::{
    DataContentType, DataFileBuilder, DataFileFormat, ManifestEntry, ManifestStatus, Struct,
};

use super::*;

fn entry(path: &str, content: DataContentType, bytes: u64, rows: u64) -> ManifestEntryRef {
    let file = DataFileBuilder::default()
        .content(content)
        .file_path(path.to_owned())
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::empty())
        .partition_spec_id(0)
        .record_count(rows)
        .file_size_in_bytes(bytes)
        .build()
        .unwrap();
    let entry = ManifestEntry::builder().status(ManifestStatus::Added);
    Arc::new(entry.data_file(file).build())
}

/// Files of so many bytes and as many rows, each with so many delete files of one position.
fn content(files: &[(u64, usize)]) -> Content {
    let data = files.iter().enumerate().map(|(number, (bytes, deletes))| {
        let path = format!("file {number}");
        let deletes = (0..*deletes).map(|delete| {
            let path = format!("{path} deletes {delete}");
            entry(&path, DataContentType::PositionDeletes, 1000, 1)
        });
        LiveFile {
            entry: entry(&path, DataContentType::Data, *bytes, *bytes),
            spec_id: 0,
            deletes: deletes.collect(),
        }
    });
    Content { data: data.collect(), deletes: Vec::new() }
}

/// The chosen files, and whether delete files are joined.
fn check(files: &[(u64, usize)], deleted: &[(&str, u64)], wanted: &[&str], joins: bool) {
    let deleted = deleted.iter().map(|(path, rows)| ((*path).to_owned(), *rows)).collect();
    let chosen = choose(&content(files), &deleted, Aim::Worth, &mut HashSet::new());
    let chosen = chosen.unwrap_or_default();
    let mut paths: Vec<&str> = chosen.files.iter().map(LiveFile::path).collect();
    paths.sort_unstable();
    assert_eq!((paths.as_slice(), chosen.join.is_some()), (wanted, joins), "{files:?}");
}

#[test]
fn files_are_joined_with_files_of_their_size() {
    let large = 8 << 20;
    // Fifteen tiny files are left alone; sixteen are joined, without the large one beside them.
    check(&[vec![(large, 0)], vec![(100, 0); 15]].concat(), &[], &[], false);
    let names: Vec<String> = (1..17).map(|number| format!("file {number}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    check(&[vec![(large, 0)], vec![(100, 0); 16]].concat(), &[], &names, false);
    // Eight of the next size are joined, and take the tiny ones along.
    let next = vec![(TINY + 1, 0); 8];
    let all: Vec<String> = (0..9).map(|number| format!("file {number}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    check(&[vec![(100, 0)], next].concat(), &[], &all, false);
}

#[test]
fn a_file_is_written_anew_when_a_tenth_of_it_is_gone() {
    let large = 8 << 20;
    check(&[(large, 15)], &[("file 0", 15)], &[], false);
    check(&[(large, 16)], &[("file 0", 16)], &[], true);
    check(&[(large, 16)], &[("file 0", large / 10 + 1)], &["file 0"], true);
    // Files beyond what is joined by size, too.
    check(&[(SMALL * 2, 16)], &[("file 0", SMALL)], &["file 0"], true);
}

#[test]
fn a_large_delete_file_is_not_joined_for_the_sake_of_small_ones() {
    let of = |rows| entry("deletes", DataContentType::PositionDeletes, 1000, rows);
    let deletes: Vec<ManifestEntryRef> = [1, 20_000, 2, FEW_POSITIONS].map(of).to_vec();
    let joined = joined(deletes.iter().map(|entry| entry.data_file()));
    let rows: Vec<u64> = joined.iter().map(|file| file.record_count()).collect();
    assert_eq!(rows, [1, 2, FEW_POSITIONS]);
}

#[test]
fn sizes_grow_by_steps() {
    assert_eq!(
        [0, TINY - 1, TINY, TINY * 4 - 1, TINY * 4, TINY * 16].map(step),
        [0, 0, 1, 1, 2, 3]
    );
}

#[test]
fn who_asks_for_a_compaction_gets_all_of_it() {
    let content = content(&[(8 << 20, 1), (100, 0), (SMALL * 2, 0)]);
    let mut passed = HashSet::new();
    let chosen = choose(&content, &Deleted::new(), Aim::Everything, &mut passed).unwrap();
    let paths: Vec<&str> = chosen.files.iter().map(LiveFile::path).collect();
    assert_eq!(paths, ["file 1", "file 0"]);
    assert!(choose(&content, &Deleted::new(), Aim::Everything, &mut passed).is_none());
}
