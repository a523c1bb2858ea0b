//! Rows of a folder or archive of images.
//!
//! In: a set of images and the sidecar beside them. Out: one row an image. A field gets, in this
//! order: the sidecar's value (its row is found by a column `file_name`, `filename`, `file`, `path` or
//! `image`, which names the image by path or by file name); by its name, `path`, `file`/`fileName`,
//! or `folder`/`label`/`category` (the part of the path before the file's name); the key: the path,
//! or the file's name without its ending when the key is a number or UUID; a field named and typed
//! like a measure of media (`takenAt`, `camera`, `width`, …): that measure.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use base::{Error, Kind, Result};
use bytes::Bytes;
use frame::convert::array_of;
use frame::{DataType, Value};
use futures::{StreamExt, stream};
use schema::Schema;

use super::RowBatches;
use super::media::{leave_out, put};
use crate::Lake;
use crate::decode::block::Blocks;
use crate::decode::cell::{Cell, CellKind, Cells};
use crate::decode::coerce::{Rules, Slot, build};
use crate::decode::shape::{Expect, Target};
use crate::decode::{RawBatch, Shape, bind, defaults, json, separated, text};
use crate::source::images::ImageSet;
use crate::source::text::Consumed;
use crate::source::{Format, ReadOptions, Source};

/// Images of a batch.
const BATCH: usize = 64;

/// Bytes of images from which a batch ends early.
const HELD: usize = 64 << 20;

/// Columns of a sidecar that name the image.
const NAMING: [&str; 5] = ["filename", "file", "path", "image", "imagepath"];

/// One row an image, after the first `skip`.
pub(super) async fn rows(
    lake: &Lake,
    source: Source,
    shape: Arc<Shape>,
    options: ReadOptions,
    skip: u64,
) -> Result<RowBatches> {
    let field = media_field(&shape)?;
    let file = Arc::clone(&source.name);
    let lake = lake.clone();
    let opened = base::task::blocking("list images", move || {
        let mut set = ImageSet::open(&source, &options)?;
        let facts = match set.sidecar(&options)? {
            Some(sidecar) => Facts::read(&sidecar, &shape, &options)?,
            None => Facts::default(),
        };
        let next = usize::try_from(skip).unwrap_or(usize::MAX);
        let rules = Rules::of(&options);
        Ok::<_, Error>(Images { set, facts, shape, rules, field, next, file, consumed: 0 })
    });
    let images = opened.await??;
    let batches = stream::try_unfold((images, lake), |(images, lake)| async move {
        let (images, taken) = base::task::blocking("read images", move || images.take()).await??;
        let Some(taken) = taken else { return Ok(None) };
        let batch = images.batch(&lake, taken).await?;
        Ok(Some((batch, (images, lake))))
    });
    Ok(batches.boxed())
}

fn media_field(shape: &Shape) -> Result<usize> {
    let fields: Vec<usize> = shape.media().collect();
    match fields.as_slice() {
        [only] => Ok(*only),
        [] => Err(Error::invalid(format!("type `{}` has no `@media` field", shape.type_name))
            .hint("add a field like `image: Media @media`")),
        _ => Err(Error::new(
            Kind::Unsupported,
            format!("type `{}` has several `@media` fields", shape.type_name),
        )
        .hint("import a CSV or JSON Lines file with a column of paths for each")),
    }
}

/// The images on their way.
struct Images {
    set: ImageSet,
    facts: Facts,
    shape: Arc<Shape>,
    rules: Rules,
    field: usize,
    next: usize,
    file: Arc<str>,
    consumed: u64,
}

/// Images of one batch: positions, and bytes or the reason why there are none.
type Taken = (usize, Vec<Result<Bytes>>);

impl Images {
    /// Reads the next images.
    fn take(mut self) -> Result<(Images, Option<Taken>)> {
        let first = self.next;
        let (mut items, mut held) = (Vec::new(), 0);
        while self.next < self.set.paths.len() && items.len() < BATCH && held < HELD {
            let read = self.set.read(self.next);
            held += read.as_ref().map_or(0, Bytes::len);
            items.push(read);
            self.next += 1;
        }
        self.consumed += held as u64;
        let taken = (!items.is_empty()).then_some((first, items));
        Ok((self, taken))
    }

    async fn batch(&self, lake: &Lake, (first, items): Taken) -> Result<RawBatch> {
        let count = items.len();
        let mut values = vec![Value::Null; count];
        let (mut held, mut faults) = (Vec::new(), Vec::new());
        for (row, item) in items.into_iter().enumerate() {
            match item {
                Ok(bytes) => held.push((row, bytes)),
                Err(error) => faults.push((row, error)),
            }
        }
        let field = &self.shape.targets[self.field].name;
        put(lake, &self.shape, field, &mut held, &mut values, &mut faults).await?;
        let paths = &self.set.paths[first..first + count];
        for (row, error) in &mut faults {
            let place =
                base::Place { file: format!("{}/{}", self.file, paths[*row]), line: 0, column: 0 };
            let taken = std::mem::replace(error, Error::internal("an image was refused"));
            *error = taken.at(place);
        }
        let mut columns = Vec::with_capacity(self.shape.targets.len());
        for (index, target) in self.shape.targets.iter().enumerate() {
            columns.push(if index == self.field {
                array_of(values.iter(), &Schema::media_type())?
            } else {
                self.column(index, target, paths, &values, &mut faults)?
            });
        }
        let schema = columns.iter().zip(&self.shape.targets).map(|(column, target)| {
            arrow::datatypes::Field::new(target.name.as_ref(), column.data_type().clone(), true)
        });
        let schema = Arc::new(arrow::datatypes::Schema::new(schema.collect::<Vec<_>>()));
        let batch = RecordBatch::try_new(schema, columns.clone())
            .map_err(|error| Error::internal("failed to assemble images").caused_by(error))?;
        let raw = RawBatch {
            batch,
            first_row: first as u64 + 1,
            rows: count as u64,
            rejects: Vec::new(),
            kept: None,
            consumed: self.consumed,
        };
        leave_out(raw, &self.shape, columns, faults, &self.file)
    }

    fn column(
        &self,
        index: usize,
        target: &Target,
        paths: &[String],
        values: &[Value],
        faults: &mut Vec<(usize, Error)>,
    ) -> Result<ArrayRef> {
        let facts: Vec<_> = paths.iter().map(|path| self.fact(index, target, path)).collect();
        if facts.iter().all(Option::is_none)
            && let Some(measure) = measure_named(target)
        {
            let measures = values.iter().map(|value| match value {
                Value::Struct(parts) => parts[measure].clone(),
                _ => Value::Null,
            });
            return array_of(measures.collect::<Vec<_>>().iter(), &target.data_type);
        }
        let mut cells = Cells { width: 1, count: paths.len(), ..Cells::default() };
        for fact in &facts {
            let start = cells.bytes.len() as u32;
            let Some((kind, text)) = fact else {
                cells.cells.push(Cell::empty(CellKind::Missing, 0));
                continue;
            };
            cells.bytes.extend_from_slice(text.as_bytes());
            let end = cells.bytes.len() as u32;
            cells.cells.push(Cell { start, end, origin: 0, kind: *kind });
        }
        let nullable = target.nullable || target.default.is_some();
        let slot = Slot { name: &target.name, expect: &target.expect, nullable };
        let mut found = Vec::new();
        let array = build(slot, cells.column(0), &self.rules, &mut found)?;
        faults.extend(found.into_iter().map(|fault| {
            let path = format!("{}/{}", self.file, paths[fault.record]);
            let error = Error::invalid(fault.reason());
            (fault.record, error.at(base::Place { file: path, line: 0, column: 0 }))
        }));
        defaults::fill(array, target)
    }

    fn fact(&self, index: usize, target: &Target, path: &str) -> Option<(CellKind, String)> {
        if let Some(fact) = self.facts.of(path, index) {
            return Some(fact.clone());
        }
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let text = match bind::loose(&target.name).as_str() {
            "path" => path,
            "file" | "filename" => name,
            "folder" | "label" | "category" if !folder.is_empty() => folder,
            _ if self.shape.key == [index] => match target.expect {
                Expect::Id | Expect::Scalar(DataType::String) => path,
                _ => name.rsplit_once('.').map_or(name, |(stem, _)| stem),
            },
            _ => return None,
        };
        Some((CellKind::Quoted, text.to_owned()))
    }
}

/// The position in [`Schema::media_type`] of the measure that a field is named and typed like.
fn measure_named(target: &Target) -> Option<usize> {
    let DataType::Struct(measures) = Schema::media_type() else { return None };
    measures
        .iter()
        .position(|measure| measure.name == target.name && measure.data_type == target.data_type)
}

/// What the sidecar says, by path or file name of the image and by field.
#[derive(Default)]
struct Facts {
    by_image: HashMap<String, Vec<Option<(CellKind, String)>>>,
}

impl Facts {
    fn of(&self, path: &str, target: usize) -> Option<&(CellKind, String)> {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        let found = self.by_image.get(path).or_else(|| self.by_image.get(name))?;
        found[target].as_ref()
    }

    fn read(sidecar: &Source, shape: &Shape, options: &ReadOptions) -> Result<Facts> {
        let records = records(sidecar, options)?;
        let mut facts = Facts::default();
        for record in records {
            let naming =
                record.iter().find(|(name, ..)| NAMING.contains(&bind::loose(name).as_str()));
            let Some((_, _, image)) = naming else {
                return Err(Error::invalid("the sidecar has no column that names the image")
                    .at(sidecar.place(1, 0))
                    .hint("name the column `file_name`"));
            };
            let mut values = vec![None; shape.targets.len()];
            for (name, kind, value) in &record {
                match bind::resolve(name, shape) {
                    Some(target) => values[target] = Some((*kind, value.clone())),
                    None if NAMING.contains(&bind::loose(name).as_str())
                        || options.ignore_unknown => {}
                    None => return Err(bind::unknown(name, shape, &sidecar.place(1, 0))),
                }
            }
            facts.by_image.insert(image.clone(), values);
        }
        Ok(facts)
    }
}

type Record = Vec<(String, CellKind, String)>;

fn records(sidecar: &Source, options: &ReadOptions) -> Result<Vec<Record>> {
    let options = ReadOptions { columns: None, header: Some(true), ..options.clone() };
    let separates = sidecar.format == Format::Separated;
    if !separates && sidecar.format != Format::JsonLines {
        return Err(Error::new(Kind::Unsupported, "a sidecar is CSV, TSV or JSON Lines")
            .at(sidecar.place(0, 0)));
    }
    let (dialect, cut) = text::dialect_of(&text::start_of(sidecar, &options)?, &options, None)?;
    let cut = if separates { cut } else { text::json_cut(sidecar.format) };
    let reader = sidecar.text(&options, Consumed::default())?;
    let mut blocks = Blocks::new(reader, &sidecar.name, cut, &options.limits);
    let (mut names, mut records): (Option<Vec<String>>, Vec<Record>) = (None, Vec::new());
    while let Some(block) = blocks.next_block()? {
        for (index, (from, to)) in block.records.iter().enumerate() {
            let bytes = &block.bytes[*from as usize..*to as usize];
            let row = block.first_record as usize + index + 1;
            let wrong = |message: String| {
                Error::invalid(format!("row {row} of the sidecar: {message}"))
                    .at(sidecar.place(0, 0))
            };
            if !separates {
                let entries = json::entries(bytes, options.limits.depth);
                records.push(entries.map_err(|fault| wrong(fault.message))?);
                continue;
            }
            let values =
                separated::values(bytes, &dialect).map_err(|fault| wrong(fault.message))?;
            let Some(names) = &names else {
                names = Some(values);
                continue;
            };
            if values.len() != names.len() {
                return Err(wrong(format!(
                    "expected {} values, found {}",
                    names.len(),
                    values.len()
                )));
            }
            let named = names.iter().zip(values);
            records
                .push(named.map(|(name, value)| (name.clone(), CellKind::Bare, value)).collect());
        }
    }
    Ok(records)
}
