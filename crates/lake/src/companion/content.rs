//! The address of content: BLAKE3, in hex.
//!
//! In: a text, a vector, or the struct of a media field. Out: the hash that its vector is stored
//! under, one value at a time and as a function of DataFusion. Not here: the vectors.

use std::any::Any;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Float32Type};
use datafusion::common::{Result as DfResult, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The address of a content, as the bytes that its hash writes in hex.
pub(crate) type Content = [u8; 32];

/// The content that a hash in hex names; nothing when it is no such hash.
pub(crate) fn content_named(hash: &str) -> Option<Content> {
    blake3::Hash::from_hex(hash).ok().map(|hash| *hash.as_bytes())
}

/// The hash of a content, in hex.
pub(crate) fn name_of(content: &Content) -> String {
    blake3::Hash::from_bytes(*content).to_hex().to_string()
}

/// The hash of a text.
pub(crate) fn hash_of_text(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// The hash of a vector.
pub(crate) fn hash_of_vector(vector: &[f32]) -> String {
    content_of_vector(vector).to_hex().to_string()
}

fn content_of_vector(vector: &[f32]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for number in vector {
        hasher.update(&number.to_le_bytes());
    }
    hasher.finalize()
}

/// The contents of a column of media, text or vectors; nothing where there is none.
pub(crate) fn contents(column: &ArrayRef) -> DfResult<Vec<Option<Content>>> {
    match column.data_type() {
        DataType::Struct(_) => {
            Ok(hashes_of_media(column)?.iter().map(|hash| content_named(hash?)).collect())
        }
        DataType::Utf8 => {
            let texts = column.as_string::<i32>().iter();
            Ok(texts.map(|text| Some(*blake3::hash(text?.as_bytes()).as_bytes())).collect())
        }
        DataType::FixedSizeList(..) => Ok(column
            .as_fixed_size_list()
            .iter()
            .map(|vector| {
                let vector = vector?;
                let hash = content_of_vector(vector.as_primitive::<Float32Type>().values());
                Some(*hash.as_bytes())
            })
            .collect()),
        other => exec_err!("values of type {other} have no vector"),
    }
}

/// The hashes of a column of media, text or vectors; null where there is none.
pub(crate) fn hashes(column: &ArrayRef) -> DfResult<StringArray> {
    match column.data_type() {
        // As they are written: a hash that another tool wrote may be none.
        DataType::Struct(_) => hashes_of_media(column),
        _ => Ok(contents(column)?.iter().map(|content| Some(name_of(content.as_ref()?))).collect()),
    }
}

fn hashes_of_media(column: &ArrayRef) -> DfResult<StringArray> {
    let media = column.as_struct();
    let Some(hashes) = media.column_by_name("hash") else {
        return exec_err!("an object without a hash has no vector");
    };
    let hashes = hashes.as_string::<i32>();
    let known = |row| (media.is_valid(row) && hashes.is_valid(row)).then(|| hashes.value(row));
    Ok((0..media.len()).map(known).collect())
}

/// The hashes of a column, as an expression.
pub(crate) fn content_hash(column: Expr) -> Expr {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let signature = Signature::any(1, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(ContentHash { signature }))
    });
    FUNCTION.call(vec![column])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ContentHash {
    signature: Signature,
}

impl ScalarUDFImpl for ContentHash {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        "content_hash"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let Some(column) = arrays.first() else {
            return exec_err!("`content_hash` was called without a column");
        };
        Ok(ColumnarValue::Array(Arc::new(hashes(column)?)))
    }
}
