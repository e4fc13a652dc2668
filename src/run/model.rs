//! What a model is called, and whether two descriptions can be of one model.
//!
//! A model has one name everywhere: that of its file, without what only says how it was stored. Its
//! `general.name` is the same for all quantizations and for many fine-tunes of a model.

use std::path::{Component, Path, PathBuf};

use super::manifest::Model;

/// How Hugging Face's cache calls the directory of a repository: `models--ORGANIZATION--NAME`.
pub const HUB: &str = "models--";

/// What a model is called whose file is known by the path alone, and of whose file nobody knows.
/// `name` is what its metadata or its server call it, `reference` how the command names it.
pub fn title(name: &str, file: &str, reference: Option<&str>) -> String {
    if file.is_empty() {
        return match reference {
            Some(reference) => title_of_reference(reference),
            // llama-server calls a model as its file, where nobody gave it an alias.
            None if has_ending(name) => name_of_file(Path::new(name)),
            None => name.to_owned(),
        };
    }
    let path = Path::new(file);
    let stem = name_of_file(path);
    let stem = without_repository(&stem, path, reference);
    let is_named = is_given(name, path);
    match stem.strip_prefix("sha256-") {
        // As Ollama stores it.
        Some(hash) if is_named => {
            format!("{name} (sha256-{})", hash.get(..12).unwrap_or(hash))
        }
        None if is_named && says_nothing(stem) => format!("{name} ({stem})"),
        _ => stem.to_owned(),
    }
}

/// That of the file, where a repository and a file of it or a URL are named.
fn title_of_reference(reference: &str) -> String {
    let is_url = reference.contains("://");
    let last = reference.rsplit(if is_url { &['/'][..] } else { &[':', '/'][..] }).next();
    match last {
        Some(file) if has_ending(file) => name_of_file(Path::new(file)),
        _ => reference.to_owned(),
    }
}

impl Model {
    /// What it is called everywhere.
    pub fn title(&self) -> String {
        title(&self.name, &self.file, self.reference.as_deref())
    }

    /// Whether both are one model, as far as what is known of them tells; `None` if nothing does.
    pub fn is_same(&self, other: &Self) -> Option<bool> {
        let equal = |one: &Option<String>, other: &Option<String>| {
            one.as_ref().zip(other.as_ref()).map(|(one, other)| one == other)
        };
        let by_content = equal(&self.sha256, &other.sha256)
            .or_else(|| equal(&self.fingerprint, &other.fingerprint));
        if by_content.is_some() {
            return by_content;
        }
        let differs = |one: Option<&_>, other: Option<&_>| {
            one.zip(other).is_some_and(|(one, other)| one != other)
        };
        let in_header =
            self.metadata.iter().any(|(key, value)| differs(Some(value), other.metadata.get(key)));
        // A name is what the header says, where it is not that of the file.
        let in_name = self.given_name().zip(other.given_name()).is_some_and(|(a, b)| a != b);
        let in_size = self.bytes.zip(other.bytes).is_some_and(|(one, other)| one != other);
        let in_repository = self
            .repository()
            .zip(other.repository())
            .is_some_and(|(one, other)| !one.eq_ignore_ascii_case(&other));
        (in_header || in_name || in_size || in_repository).then_some(false)
    }

    /// Its name, where that is another one than its file's.
    fn given_name(&self) -> Option<&str> {
        let is_given = !self.file.is_empty() && is_given(&self.name, Path::new(&self.file));
        is_given.then_some(self.name.as_str())
    }

    /// Where it is on Hugging Face, `ORGANIZATION/NAME`, as the path in the cache or the command says.
    pub fn repository(&self) -> Option<String> {
        let of_path = Path::new(&self.file).components().rev().find_map(|part| match part {
            Component::Normal(name) => name.to_str()?.strip_prefix(HUB),
            _ => None,
        });
        let of_reference = || {
            let reference = self.reference.as_deref()?;
            let reference = reference.strip_prefix("https://huggingface.co/").unwrap_or(reference);
            let repository = reference.split(':').next()?;
            let mut parts = repository.split('/');
            let (one, other) = (parts.next()?, parts.next()?);
            let is_whole = parts.next().is_none_or(|next| next == "resolve");
            (is_whole && !one.is_empty() && !other.is_empty()).then(|| format!("{one}/{other}"))
        };
        of_path.map(|name| name.replacen("--", "/", 1)).or_else(of_reference)
    }

    /// Whether it is meant by a part of a name, in small letters: of its file, of its metadata, of
    /// how the command names it; of its path where the part is one of a path.
    pub fn is_meant_by(&self, part: &str) -> bool {
        is_meant_by(&self.name, &self.file, self.reference.as_deref(), part)
    }
}

/// The same of the pieces of a model's description.
pub fn is_meant_by(name: &str, file: &str, reference: Option<&str>, part: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(part);
    let in_file = if part.contains('/') {
        has(file)
    } else {
        Path::new(file).file_name().is_some_and(|name| has(&name.to_string_lossy()))
    };
    has(name) || in_file || reference.is_some_and(has) || has(&title(name, file, reference))
}

/// Whether a name is not that of the file itself.
fn is_given(name: &str, file: &Path) -> bool {
    let is_of_file =
        file.file_name().is_some_and(|file| file == name) || name_of_file(file) == name;
    !name.is_empty() && !is_of_file
}

/// Names that are the same for files of any model.
fn says_nothing(stem: &str) -> bool {
    let stem = stem.to_lowercase();
    stem == "model" || stem.starts_with("ggml-model") || stem.starts_with("model-q")
}

/// The name of a file in llama.cpp's own cache, which has no directories and puts the repository
/// before the name: `ORGANIZATION_NAME_FILE`.
fn without_repository<'a>(stem: &'a str, path: &Path, reference: Option<&str>) -> &'a str {
    let repository = reference.and_then(|reference| reference.split(':').next());
    let prefix = repository.map(|repository| repository.replace('/', "_") + "_");
    if let Some(prefix) = prefix
        && let (Some(start), Some(rest)) = (stem.get(..prefix.len()), stem.get(prefix.len()..))
        && start.eq_ignore_ascii_case(&prefix)
        && !rest.is_empty()
    {
        return rest;
    }
    let is_cache = path.parent().and_then(Path::file_name).is_some_and(|name| name == "llama.cpp");
    let lower = stem.to_ascii_lowercase();
    // Names of repositories with quantizations end so.
    match lower.find("gguf_").filter(|_| is_cache) {
        Some(at) if lower[..at].contains('_') && at + 5 < stem.len() => &stem[at + 5..],
        _ => stem,
    }
}

/// Whether a name is that of a GGUF file.
pub fn has_ending(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"))
}

/// All files of a model, the first first: one, or the parts of a split one, whether they are there
/// or not. Any part's path will do.
pub fn parts(file: &Path) -> Vec<PathBuf> {
    let Some(Split { start, count, total }) = Split::of(file) else {
        return vec![file.to_owned()];
    };
    let part = |number| file.with_file_name(format!("{start}-{number:05}-of-{count}.gguf"));
    (1..=total).map(part).collect()
}

/// The name of a model file without its ending and without the number of a part. What stands behind
/// a dot is no ending: `Qwen3.5`.
pub fn name_of_file(file: &Path) -> String {
    if let Some(Split { start, .. }) = Split::of(file) {
        return start.to_owned();
    }
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    let stem = if has_ending(&name) { &name[..name.len() - ".gguf".len()] } else { &name };
    stem.to_owned()
}

/// What the name of a part of a model says, as `x-00001-of-00003.gguf`.
struct Split<'a> {
    start: &'a str,
    count: &'a str,
    total: u32,
}

impl<'a> Split<'a> {
    fn of(file: &'a Path) -> Option<Self> {
        let name = file.file_name()?.to_str()?.strip_suffix(".gguf")?;
        let (start, count) = name.rsplit_once("-of-")?;
        let (start, number) = start.rsplit_once('-')?;
        let digits = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(number) || !digits(count) {
            return None;
        }
        let (number, total): (u32, u32) = (number.parse().ok()?, count.parse().ok()?);
        (1..=total).contains(&number).then_some(Self { start, count, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(file: &str) -> Model {
        Model { name: "Qwen3".to_owned(), file: file.to_owned(), ..Model::default() }
    }

    #[test]
    fn a_file_has_one_name_wherever_it_is_stored() {
        for file in [
            "Qwen3-8B-Q4_K_M.gguf",
            "/models/Qwen3-8B-Q4_K_M.gguf",
            "models/Qwen3-8B-Q4_K_M-00001-of-00003.gguf",
            "Qwen3-8B-Q4_K_M.GGUF",
            "/h/.cache/huggingface/hub/models--unsloth--Qwen3-8B-GGUF/snapshots/ab/Qwen3-8B-Q4_K_M.gguf",
            "/h/.cache/llama.cpp/unsloth_Qwen3-8B-GGUF_Qwen3-8B-Q4_K_M.gguf",
        ] {
            assert_eq!(at(file).title(), "Qwen3-8B-Q4_K_M", "{file}");
        }
        let cached = Model {
            reference: Some("org/Repo:Q4_K_M".to_owned()),
            ..at("/cache/org_Repo_Qwen3-8B-Q4_K_M.gguf")
        };
        assert_eq!(cached.title(), "Qwen3-8B-Q4_K_M");
    }

    #[test]
    fn names_that_say_nothing_are_told_with_that_of_the_model() {
        for (file, title) in [
            ("/a/model.gguf", "Qwen3 (model)"),
            ("/a/ggml-model-Q4_K_M.gguf", "Qwen3 (ggml-model-Q4_K_M)"),
            ("/o/blobs/sha256-0123456789abcdef", "Qwen3 (sha256-0123456789ab)"),
            ("/a/Qwen3.5-9B.Q4_K_M.gguf", "Qwen3.5-9B.Q4_K_M"),
            ("/a/Qwen3.5", "Qwen3.5"),
        ] {
            assert_eq!(at(file).title(), title, "{file}");
        }
    }

    #[test]
    fn a_model_without_a_file_is_called_as_it_was_asked_for() {
        let asked = |name: &str, reference: Option<&str>| title(name, "", reference);
        assert_eq!(asked("x", Some("unsloth/Qwen3-8B-GGUF:Q8_0")), "unsloth/Qwen3-8B-GGUF:Q8_0");
        for reference in [
            "org/X:sub/Qwen3-8B-Q8_0.gguf",
            "https://huggingface.co/o/r/resolve/main/Qwen3-8B-Q8_0.gguf",
        ] {
            assert_eq!(asked("x", Some(reference)), "Qwen3-8B-Q8_0", "{reference}");
        }
        assert_eq!(asked("qwen3:8b", None), "qwen3:8b");
        assert_eq!(asked("/models/Qwen3-8B-Q8_0.gguf", None), "Qwen3-8B-Q8_0");
        assert_eq!(asked("qwen3 8B Q4_K - Medium", None), "qwen3 8B Q4_K - Medium");
    }

    #[test]
    fn what_is_known_tells_models_apart() {
        let with = |change: fn(&mut Model)| {
            let mut model = Model { bytes: Some(7), ..at("/a/x.gguf") };
            change(&mut model);
            model
        };
        let one = with(|_| {});
        assert_eq!(one.is_same(&with(|model| model.file = "/b/x.gguf".to_owned())), None);
        assert_eq!(one.is_same(&with(|model| model.bytes = Some(8))), Some(false));
        assert_eq!(one.is_same(&with(|model| model.bytes = None)), None);
        let printed = with(|model| model.fingerprint = Some("a".to_owned()));
        assert_eq!(printed.is_same(&printed), Some(true));
        assert_eq!(
            printed.is_same(&with(|model| model.fingerprint = Some("b".to_owned()))),
            Some(false),
            "two fine-tunes of one name and size"
        );
        let of = |organization: &str| {
            at(&format!("/hub/models--{organization}--X-GGUF/snapshots/1/x.gguf"))
        };
        assert_eq!(of("one").repository().as_deref(), Some("one/X-GGUF"));
        assert_eq!(of("one").is_same(&of("other")), Some(false));
        assert_eq!(of("one").is_same(&of("one")), None);
    }
}
