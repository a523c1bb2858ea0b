//! Makes the index of one part of a data file.
//!
//! In: the texts of consecutive rows, field by field. Out: a bundle whose document `n` is row `n` of
//! the part. Words are runs of letters and digits, in lower case; no word is too common or too long
//! to be found. Not here: reading texts from files (`parts`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base::{Error, Result};
use tantivy::directory::{Directory, RamDirectory};
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{LowerCaser, SimpleTokenizer, TextAnalyzer, TokenizerManager};
use tantivy::{Index, IndexSettings, SingleSegmentIndexWriter, TantivyDocument};

use super::bundle::pack;

/// The name of our tokenizer in the index's schema.
pub(crate) const WORDS: &str = "words";
/// Bytes that tantivy may use while it makes one part.
const WRITER_BYTES: usize = 64 << 20;

/// How text becomes words, in indexes and in queries.
pub(crate) fn tokenizer() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default()).filter(LowerCaser).build()
}

/// The schema of an index over this many fields, which go by their position.
pub(crate) fn schema(fields: usize) -> (Schema, Vec<Field>) {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(WORDS)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let options = TextOptions::default().set_indexing_options(indexing);
    let mut builder = Schema::builder();
    let fields =
        (0..fields).map(|index| builder.add_text_field(&index.to_string(), options.clone()));
    let fields = fields.collect();
    (builder.build(), fields)
}

/// The tokenizers of an index.
pub(crate) fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::new();
    manager.register(WORDS, tokenizer());
    manager
}

/// Collects the rows of one part.
pub(crate) struct PartBuilder {
    writer: SingleSegmentIndexWriter,
    directory: RamDirectory,
    fields: Vec<Field>,
    rows: u64,
    bytes: usize,
}

impl PartBuilder {
    /// An empty part with this many fields.
    pub(crate) fn new(fields: usize) -> Result<PartBuilder> {
        let (schema, fields) = schema(fields);
        let directory = RamDirectory::create();
        let writer = Index::builder()
            .schema(schema)
            .settings(IndexSettings::default())
            .tokenizers(tokenizers())
            .single_segment_index_writer(directory.clone(), WRITER_BYTES)
            .map_err(failed)?;
        Ok(PartBuilder { writer, directory, fields, rows: 0, bytes: 0 })
    }

    /// Adds the next row: one text a field.
    pub(crate) fn add<'a>(&mut self, texts: impl Iterator<Item = Option<&'a str>>) -> Result<()> {
        let mut document = TantivyDocument::new();
        for (field, text) in self.fields.iter().zip(texts) {
            if let Some(text) = text {
                document.add_text(*field, text);
                self.bytes += text.len();
            }
        }
        self.rows += 1;
        self.writer.add_document(document).map_err(failed)
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of text so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bundle.
    pub(crate) fn finish(self) -> Result<Vec<u8>> {
        let index = self.writer.finalize().map_err(failed)?;
        let mut files = BTreeMap::new();
        let meta = PathBuf::from("meta.json");
        files.insert(meta.clone(), read(&self.directory, &meta)?);
        let mut names: Vec<PathBuf> = index.directory().list_managed_files().into_iter().collect();
        names.sort();
        for name in names {
            if self.directory.exists(&name).map_err(failed)? {
                let bytes = read(&self.directory, &name)?;
                files.insert(name, bytes);
            }
        }
        pack(&files)
    }
}

fn read(directory: &RamDirectory, name: &Path) -> Result<Vec<u8>> {
    let file = directory.open_read(name).map_err(failed)?;
    Ok(file.read_bytes().map_err(failed)?.to_vec())
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("failed to build a text index").caused_by(error)
}
