//! What a service of gRPC says of its methods and messages.
//!
//! ```text
//! .proto texts | a descriptor set | base64 of one → Descriptors → methods, messages
//! ```
//!
//! In: texts of the schema folder, or bytes. Out: [`Descriptors`], whose bytes are the same for the same
//! files, and depend on no comments. Not here: what `@fetch` may say of them (`compile::fetch`), asking
//! a service for them and making calls (`mesh`).

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::{FileDescriptorProto, FileDescriptorSet};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use crate::load::{MAX_FILES, Source, Sources};

/// The largest descriptor set, in bytes: it stands in the canonical text of a module.
pub const MAX_BYTES: usize = 2 << 20;

/// How the names of services begin that every server may have, and that nobody means.
pub const MACHINERY: [&str; 2] = ["grpc.reflection.", "grpc.health."];

/// How a descriptor set is written into a text.
const INLINE: &str = "base64:";

/// The methods and messages of a service.
#[derive(Clone)]
pub struct Descriptors {
    bytes: Arc<[u8]>,
    pool: DescriptorPool,
}

/// What is wrong with descriptors, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub words: String,
    /// What to do.
    pub hint: &'static str,
}

impl Descriptors {
    /// Files that refer to each other, in any order.
    ///
    /// # Errors
    /// When they are too large, or do not hold what they refer to.
    pub fn of_files(files: Vec<FileDescriptorProto>) -> Result<Self, Fault> {
        const HINT: &str =
            "make the set with all imports: `protoc --include_imports --descriptor_set_out=FILE`";
        let mut by_name: BTreeMap<String, FileDescriptorProto> = BTreeMap::new();
        for mut file in files {
            file.source_code_info = None;
            by_name.entry(file.name().to_owned()).or_insert(file);
        }
        let set = FileDescriptorSet { file: by_name.into_values().collect() };
        let bytes = set.encode_to_vec();
        if bytes.len() > MAX_BYTES {
            let most = base::size::format_bytes(MAX_BYTES as u64);
            let words = format!("the descriptors have more than {most}");
            return Err(Fault {
                words,
                hint: "leave out the files that the service does not need",
            });
        }
        let mut pool = DescriptorPool::new();
        pool.add_file_descriptor_set(set).map_err(|error| Fault {
            words: format!("the descriptors do not belong together: {error}"),
            hint: HINT,
        })?;
        Ok(Descriptors { bytes: bytes.into(), pool })
    }

    /// A descriptor set as `protoc --descriptor_set_out` writes it.
    ///
    /// # Errors
    /// When it is none, or as [`Descriptors::of_files`].
    pub fn of_set(bytes: &[u8]) -> Result<Self, Fault> {
        let set = FileDescriptorSet::decode(bytes).map_err(|_| Fault {
            words: "this is no descriptor set".to_owned(),
            hint: "make one by `protoc --include_imports --descriptor_set_out=FILE`",
        })?;
        Descriptors::of_files(set.file)
    }

    /// A `.proto` file with those that it imports, by their names.
    ///
    /// # Errors
    /// When one of them is wrong or missing, with its place.
    pub fn of_protos(name: &str, texts: HashMap<String, Arc<str>>) -> Result<Self, Fault> {
        let told = |error: protox::Error| Fault {
            // In this form it names the place, too.
            words: format!("{error:?}"),
            hint: "mend the file; what it imports stands below the schema folder by the same name",
        };
        let mut resolver = ChainFileResolver::new();
        resolver.add(GoogleFileResolver::new());
        resolver.add(Texts(texts));
        let mut compiler = protox::Compiler::with_file_resolver(resolver);
        compiler.include_imports(true);
        compiler.open_file(name).map_err(told)?;
        Descriptors::of_files(compiler.file_descriptor_set().file)
    }

    /// All that is described.
    pub fn pool(&self) -> &DescriptorPool {
        &self.pool
    }

    /// A method by its name in full: `package.Service/Method`.
    pub fn method(&self, name: &str) -> Option<MethodDescriptor> {
        method(&self.pool, name)
    }

    /// The names of all methods.
    pub fn methods(&self) -> Vec<String> {
        let methods = self.pool.services().flat_map(|service| {
            let of = service.full_name().to_owned();
            let methods: Vec<_> = service.methods().collect();
            methods.into_iter().map(move |method| format!("{of}/{}", method.name()))
        });
        methods.collect()
    }

    /// The descriptor set.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As a text that [`read`] takes.
    pub fn inline(&self) -> String {
        format!("{INLINE}{}", STANDARD.encode(&self.bytes))
    }

    /// A few letters that are others for other descriptors.
    pub fn digest(&self) -> String {
        blake3::hash(&self.bytes).to_hex()[..12].to_owned()
    }
}

/// A method of a pool by its name in full.
pub fn method(pool: &DescriptorPool, name: &str) -> Option<MethodDescriptor> {
    let (service, method) = name.split_once('/')?;
    let service = pool.get_service_by_name(service)?;
    service.methods().find(|known| known.name() == method)
}

/// The names of what a `.proto` file imports.
pub fn imports(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| {
        let rest = line.trim_start().strip_prefix("import")?.trim_start();
        let rest = rest.strip_prefix("public").or(rest.strip_prefix("weak")).unwrap_or(rest);
        let quote = rest.trim_start().chars().next().filter(|c| ['"', '\''].contains(c))?;
        Some(rest.trim_start()[1..].split_once(quote)?.0.to_owned())
    });
    lines.collect()
}

/// What `@source(descriptors:)` says: a file of the schema folder, or a set as it stands in a deployed
/// module.
///
/// # Errors
/// When there is no such file, or what it holds is wrong.
pub fn read(text: &str, sources: &Sources) -> Result<Descriptors, Fault> {
    if let Some(inline) = text.strip_prefix(INLINE) {
        return of_base64(inline);
    }
    if !is_proto(text) && !is_set(text) {
        return Err(Fault {
            words: "descriptors are a `.proto` file, or a descriptor set in a `.binpb` file".into(),
            hint: "name a file below the schema folder: `descriptors: \"films.proto\"`",
        });
    }
    let Some(found) = sources.text(text) else {
        return Err(Fault {
            words: format!("there is no file `{text}` below the schema folder"),
            hint: "put it there, or leave `descriptors` out: then the service is asked for them",
        });
    };
    if is_set(text) {
        return of_base64(found);
    }
    let protos = sources.files.iter().filter(|source| is_proto(&source.file)).take(MAX_FILES);
    let texts = protos.map(|source| (source.file.to_string(), Arc::clone(&source.text)));
    Descriptors::of_protos(text, texts.collect())
}

/// The files from which descriptors were read: the one that is named, with those that it imports.
pub(crate) fn files(named: &str, descriptors: &Descriptors, sources: &Sources) -> Vec<Source> {
    let is_meant = |file: &str| match is_proto(named) {
        true => is_proto(file) && descriptors.pool.get_file_by_name(file).is_some(),
        false => file == named,
    };
    sources.files.iter().filter(|source| is_meant(&source.file)).cloned().collect()
}

fn of_base64(text: &str) -> Result<Descriptors, Fault> {
    Descriptors::of_set(&set_of_text(text)?)
}

/// The bytes of a descriptor set whose text this is.
///
/// # Errors
/// When it is no such text.
pub fn set_of_text(text: &str) -> Result<Vec<u8>, Fault> {
    STANDARD.decode(text.trim()).map_err(|_| Fault {
        words: "the descriptor set is no base64".to_owned(),
        hint: "name a file below the schema folder: `descriptors: \"films.binpb\"`",
    })
}

/// Bytes of a descriptor set as the text by which [`Sources`] hold them.
pub fn text_of_set(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Whether a file of the schema folder holds definitions of protobuf.
pub(crate) fn is_proto(file: &str) -> bool {
    file.ends_with(".proto")
}

/// Whether a file of the schema folder is a descriptor set.
pub(crate) fn is_set(file: &str) -> bool {
    file.ends_with(".binpb")
}

/// Texts by their names.
struct Texts(HashMap<String, Arc<str>>);

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let text = self.0.get(name).ok_or_else(|| protox::Error::file_not_found(name))?;
        File::from_source(name, text)
    }
}

impl PartialEq for Descriptors {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Descriptors {}

impl fmt::Debug for Descriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Descriptors").field("digest", &self.digest()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILMS: &str = "syntax = \"proto3\";\npackage films.v1;\nimport \"people.proto\";\n\
        import \"google/protobuf/timestamp.proto\";\n\
        // A film.\nmessage Film { string id = 1; people.Person by = 2; google.protobuf.Timestamp at = 3; }\n\
        service Films { rpc GetFilm(Film) returns (Film); }\n";
    const PEOPLE: &str =
        "syntax = \"proto3\";\npackage people;\nmessage Person { string id = 1; }\n";

    fn sources(files: &[(&str, &str)]) -> Sources {
        Sources::from_texts(files.iter().copied())
    }

    #[test]
    fn files_and_the_text_of_a_deployed_module_say_the_same() {
        let folder = sources(&[("films.proto", FILMS), ("people.proto", PEOPLE)]);
        let found = read("films.proto", &folder).unwrap();
        assert_eq!(found.methods(), ["films.v1.Films/GetFilm"]);
        assert!(found.method("films.v1.Films/GetFilm").is_some());
        assert!(found.method("films.v1.Films/Nothing").is_none());
        assert_eq!(read(&found.inline(), &Sources::default()).unwrap(), found);
        let set = text_of_set(found.bytes());
        assert_eq!(read("f.binpb", &sources(&[("f.binpb", set.as_str())])).unwrap(), found);
        let plain = FILMS.replace("// A film.\n", "");
        let plain = sources(&[("films.proto", plain.as_str()), ("people.proto", PEOPLE)]);
        assert_eq!(read("films.proto", &plain).unwrap().digest(), found.digest());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let check = |name: &str, files: &[(&str, &str)], words: &str| {
            let fault = read(name, &sources(files)).unwrap_err();
            assert!(fault.words.contains(words), "{fault:?}");
        };
        check("films.proto", &[("films.proto", FILMS)], "films.proto:3:1: import 'people.proto'");
        let broken = FILMS.replace("Film by", "Film");
        let broken = broken.replace("people.Person by", "people.Nobody by");
        let files = [("films.proto", broken.as_str()), ("people.proto", PEOPLE)];
        check("films.proto", &files, "films.proto:6:");
        check("gone.proto", &[], "no file `gone.proto`");
        check("films.txt", &[], "`.proto`");
        check("base64:!", &[], "no base64");
        check("base64:AAAA", &[], "no descriptor set");
        let alone = FileDescriptorProto {
            name: Some("films.proto".to_owned()),
            dependency: vec!["people.proto".to_owned()],
            ..FileDescriptorProto::default()
        };
        let fault = Descriptors::of_files(vec![alone]).unwrap_err();
        assert!(fault.words.contains("people.proto"), "{fault:?}");
    }
}
