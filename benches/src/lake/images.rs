//! Pictures a second: the binary imports a folder (sniff, decode, measure, hash, thumbnail, commit),
//! against Pillow with imagehash, which does the same to each picture and keeps nothing.

use anyhow::Result;
use serde_json::json;

use crate::measure::{Row, Usage, median, whole};
use crate::{Arguments, peer, program, project};

const SDL: &str = r#"extend schema @module(name: "bench", owner: "bench")
type Photo @key(fields: "path") @table(format: LANCE, plural: "photos") {
  path: String!
  image: Media! @media
}
"#;

pub(crate) async fn run(arguments: &Arguments) -> Result<Vec<Row>> {
    let Some(pictures) = &arguments.pictures else {
        return Ok(vec![
            Row::rate("images: import", f64::NAN, "images/cpu-s").against("", None, 1.0),
        ]);
    };
    let all: Vec<_> = std::fs::read_dir(pictures)?.collect::<std::io::Result<_>>()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..if arguments.quick { 1 } else { 5 } {
        let folder = arguments.folder.join("photos");
        project::make(&folder, SDL)?;
        let path = pictures.display().to_string();
        ours.push(whole(&mut program::command(&folder, &["import", "Photo", &path])?)?);
        if let Some(mut command) = peer::python(arguments, "images_pillow.py") {
            theirs.push(whole(command.arg(json!({ "folder": pictures }).to_string()))?);
        }
    }
    let rate = |usages: &[Usage]| {
        let rates = usages.iter().map(|one| all.len() as f64 / one.cpu).collect();
        (!usages.is_empty()).then(|| median(rates))
    };
    Ok(vec![
        Row::rate(
            format!("images: import of {}", all.len()),
            rate(&ours).unwrap_or(f64::NAN),
            "images/cpu-s",
        )
        .against("Pillow and imagehash", rate(&theirs), 1.0),
    ])
}
