//! Text search among 100,000 documents, against plain tantivy in this same process: one segment in
//! memory, the ten best by BM25, with their keys and titles.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use base::rng::Rng;
use frame::{Scan, Search};
use futures::TryStreamExt as _;
use lake::Lake;
use tantivy::collector::TopDocs;
use tantivy::query::QueryParser;
use tantivy::schema::{Field, STORED, Schema, TEXT, Value as _};
use tantivy::{Index, IndexReader, IndexWriter, Searcher, TantivyDocument};

use crate::measure::{Row, median, own_cpu};
use crate::{Arguments, data, project};

const SDL: &str = r#"extend schema @module(name: "bench", owner: "bench")
type Document @key(fields: "id") @table(format: ICEBERG, plural: "documents") {
  id: Long!
  title: String! @search
  body: String! @search
}
"#;

const COUNT: usize = 10;

pub(crate) async fn run(arguments: &Arguments) -> Result<Vec<Row>> {
    let size = if arguments.quick { 5_000 } else { 100_000 };
    let file = data::documents(&arguments.folder, size)?;
    let folder = arguments.folder.join("documents");
    project::make(&folder, SDL)?;
    project::run(&folder, &["import", "Document", file.to_str().context("no text")?])?;
    project::run(&folder, &["compact", "Document"])?;
    let lake = project::open(&folder, SDL).await?;
    let plain = Plain::over(&file)?;
    let mut rows = Vec::new();
    for (what, words) in [("one word", 1), ("two words", 2), ("a phrase of two words", 0)] {
        rows.push(compare(arguments, &lake, &plain, what, &texts(words)).await?);
    }
    Ok(rows)
}

/// Questions: words drawn like those of the documents, but not the most frequent ones, which people
/// do not search for; `0` words is a phrase of two.
fn texts(words: usize) -> Vec<String> {
    let (rng, all) = (Rng::seeded(5), data::Words::new());
    let frequent: Vec<String> = (0..20).map(data::Words::word).collect();
    let word = || loop {
        let word = all.draw(&rng);
        if !frequent.contains(&word) {
            return word;
        }
    };
    let text = || match words {
        0 => format!("\"{} {}\"", all.draw(&rng), all.draw(&rng)),
        words => (0..words).map(|_| word()).collect::<Vec<_>>().join(" "),
    };
    (0..50).map(|_| text()).collect()
}

async fn compare(
    arguments: &Arguments,
    lake: &Lake,
    plain: &Plain,
    what: &str,
    texts: &[String],
) -> Result<Row> {
    let rounds = if arguments.quick { 2 } else { 9 };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let before = own_cpu()?;
        let mut found = Vec::new();
        for text in texts {
            found.push(ask(lake, text).await?);
        }
        let between = own_cpu()?;
        let mut wanted = Vec::new();
        for text in texts {
            wanted.push(plain.ask(text)?);
        }
        let after = own_cpu()?;
        for ((text, found), wanted) in texts.iter().zip(&found).zip(&wanted) {
            ensure!(found == wanted, "`{text}`: {found} rows, tantivy finds {wanted}");
        }
        if round > 0 {
            let each = 1000.0 / texts.len() as f64;
            ours.push((between - before) * each);
            theirs.push((after - between) * each);
        }
    }
    Ok(Row::cost(format!("text: {what}, 10 best"), median(ours), "cpu-ms").against(
        "plain tantivy 0.27",
        Some(median(theirs)),
        1.0 / 1.2,
    ))
}

async fn ask(lake: &Lake, text: &str) -> Result<usize> {
    let mut request = project::ask("Document", &["id", "title"]);
    request.search = Some(Search { fields: Vec::new(), text: text.to_owned() });
    request.limit = Some(COUNT);
    let batches: Vec<_> = lake.scan(request).await?.try_collect().await?;
    Ok(batches.iter().map(arrow::array::RecordBatch::num_rows).sum())
}

/// Tantivy as its own documentation shows it.
struct Plain {
    parser: QueryParser,
    searcher: Searcher,
    fields: [Field; 2],
}

impl Plain {
    fn over(file: &Path) -> Result<Plain> {
        let mut schema = Schema::builder();
        let id = schema.add_text_field("id", STORED);
        let title = schema.add_text_field("title", TEXT | STORED);
        let body = schema.add_text_field("body", TEXT);
        let index = Index::create_in_ram(schema.build());
        let mut writer: IndexWriter = index.writer_with_num_threads(1, 256 << 20)?;
        for line in std::fs::read_to_string(file)?.lines().skip(1) {
            let mut cells = line.splitn(3, ',');
            let mut document = TantivyDocument::new();
            for field in [id, title, body] {
                document.add_text(field, cells.next().context("a line has three cells")?);
            }
            writer.add_document(document)?;
        }
        writer.commit()?;
        let reader: IndexReader = index.reader()?;
        let mut parser = QueryParser::for_index(&index, vec![title, body]);
        parser.set_conjunction_by_default();
        Ok(Plain { parser, searcher: reader.searcher(), fields: [id, title] })
    }

    fn ask(&self, text: &str) -> Result<usize> {
        let query = self.parser.parse_query(text)?;
        let best = self.searcher.search(&query, &TopDocs::with_limit(COUNT).order_by_score())?;
        for (_, address) in &best {
            let document: TantivyDocument = self.searcher.doc(*address)?;
            for field in self.fields {
                ensure!(document.get_first(field).and_then(|value| value.as_str()).is_some());
            }
        }
        Ok(best.len())
    }
}
