//! The models that command lines of llama.cpp name, in every way that it knows (`common/arg.cpp`
//! and `llama-bench.cpp`, b11434).

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// A model that a command line names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedModel {
    /// By its file.
    File(PathBuf),
    /// By what llama.cpp finds a file for: a repository, a URL, a preset.
    Reference(String),
}

/// Flags that stand for a model of Hugging Face; each takes no value.
const PRESETS: [(&str, &str); 11] = [
    ("--embd-gemma-default", "ggml-org/embeddinggemma-300M-qat-q4_0-GGUF"),
    ("--fim-qwen-1.5b-default", "ggml-org/Qwen2.5-Coder-1.5B-Q8_0-GGUF"),
    ("--fim-qwen-3b-default", "ggml-org/Qwen2.5-Coder-3B-Q8_0-GGUF"),
    ("--fim-qwen-7b-default", "ggml-org/Qwen2.5-Coder-7B-Q8_0-GGUF"),
    ("--fim-qwen-7b-spec", "ggml-org/Qwen2.5-Coder-7B-Q8_0-GGUF"),
    ("--fim-qwen-14b-spec", "ggml-org/Qwen2.5-Coder-14B-Q8_0-GGUF"),
    ("--fim-qwen-30b-default", "ggml-org/Qwen3-Coder-30B-A3B-Instruct-Q8_0-GGUF"),
    ("--gpt-oss-20b-default", "ggml-org/gpt-oss-20b-GGUF"),
    ("--gpt-oss-120b-default", "ggml-org/gpt-oss-120b-GGUF"),
    ("--vision-gemma-4b-default", "ggml-org/gemma-3-4b-it-qat-GGUF"),
    ("--vision-gemma-12b-default", "ggml-org/gemma-3-12b-it-qat-GGUF"),
];

/// Of settings and of no model, though it ends as a preset of a model does.
const NO_PRESET: &str = "--spec-default";

/// What a command line says of models.
#[derive(Debug, Default)]
struct Given {
    files: Vec<OsString>,
    repositories: Vec<String>,
    repository_files: Vec<String>,
    url: Option<String>,
    docker: Option<String>,
    presets: Option<String>,
    directory: Option<OsString>,
}

/// The models of llama-bench, whose arguments these are: each flag takes a list, flags add up, and
/// those of repositories stand behind the files, as llama-bench measures them.
pub fn of_bench(arguments: &[OsString]) -> Vec<NamedModel> {
    let given = read(arguments);
    let files = given.files.iter().flat_map(words).map(PathBuf::from);
    let mut models: Vec<NamedModel> = files.map(NamedModel::File).collect();
    let list = |lists: &[String]| -> Vec<String> {
        lists.iter().flat_map(|list| list.split(',')).map(str::to_owned).collect()
    };
    let files = list(&given.repository_files);
    let repositories = list(&given.repositories).into_iter().enumerate();
    models.extend(
        repositories
            .filter(|(_, repository)| !repository.is_empty())
            .map(|(index, repository)| in_repository(&repository, files.get(index))),
    );
    models
}

/// The model of another program of llama.cpp, where a command line runs one: `llama-server`,
/// `llama-cli`, `llama serve`. What stands in the command line counts before what `variable` gives;
/// of several ways to name a model the one counts that llama.cpp takes.
pub fn of_program(
    argv: &[OsString],
    variable: impl Fn(&str) -> Option<OsString>,
) -> Vec<NamedModel> {
    let Some((program, name)) = super::program(argv) else { return Vec::new() };
    // llama-bench has arguments of its own and reads no variables; llama-benchy is no part of it.
    let is_bench = name.starts_with("llama-bench")
        || argv.get(program + 1).is_some_and(|word| name == "llama" && word == "bench");
    if is_bench || name != "llama" && !name.starts_with("llama-") {
        return Vec::new();
    }
    let given = read(&argv[program + 1..]);
    let text = |name: &str| variable(name)?.into_string().ok().filter(|text| !text.is_empty());
    let last = |list: &[String], name: &str| list.last().cloned().or_else(|| text(name));
    let file = given.files.last().cloned().or_else(|| variable("LLAMA_ARG_MODEL"));
    let file = file.filter(|file| !file.is_empty());
    let repository = last(&given.repositories, "LLAMA_ARG_HF_REPO");
    let model = if let Some(docker) = given.docker.or_else(|| text("LLAMA_ARG_DOCKER_REPO")) {
        Some(NamedModel::Reference(docker))
    } else if let Some(repository) = repository {
        // With a repository, -m names the file in it.
        let in_it = last(&given.repository_files, "LLAMA_ARG_HF_FILE");
        let in_it = in_it.or_else(|| file?.into_string().ok());
        Some(in_repository(&repository, in_it.as_ref()))
    } else if let Some(url) = given.url.or_else(|| text("LLAMA_ARG_MODEL_URL")) {
        // With a URL, -m says where the file is put.
        Some(file.map_or_else(
            || NamedModel::Reference(without_secrets(&url)),
            |file| NamedModel::File(file.into()),
        ))
    } else if let Some(file) = file {
        Some(NamedModel::File(file.into()))
    } else if let Some(preset) = given.presets {
        Some(NamedModel::Reference(preset))
    } else {
        // A router serves all models of a directory, or those of a file.
        let preset = value(&argv[program + 1..], "--models-preset");
        let preset = preset.or_else(|| variable("LLAMA_ARG_MODELS_PRESET"));
        let directory = given.directory.or_else(|| variable("LLAMA_ARG_MODELS_DIR"));
        let place = preset.or(directory).filter(|place| !place.is_empty());
        place.map(|place| NamedModel::Reference(format!("models of {}", place.to_string_lossy())))
    };
    model.into_iter().collect()
}

/// Reads flags as llama.cpp does: underscores in a long name are dashes.
fn read(arguments: &[OsString]) -> Given {
    let mut given = Given::default();
    let mut index = 0;
    while let Some(word) = arguments.get(index) {
        index += 1;
        let name = flag(word);
        let text = || arguments.get(index).map(|value| value.to_string_lossy().into_owned());
        match name.as_str() {
            "-m" | "--model" => given.files.extend(arguments.get(index).cloned()),
            "-hf" | "-hfr" | "--hf-repo" => given.repositories.extend(text()),
            "-hff" | "--hf-file" => given.repository_files.extend(text()),
            "-mu" | "--model-url" => given.url = text(),
            "-dr" | "--docker-repo" => given.docker = text(),
            "--models-dir" => given.directory = arguments.get(index).cloned(),
            name => {
                given.presets = preset(name).or(given.presets);
                continue;
            }
        }
        index += 1;
    }
    given
}

fn flag(word: &OsString) -> String {
    let text = word.to_string_lossy();
    if text.starts_with("--") { text.replace('_', "-") } else { text.into_owned() }
}

fn value(arguments: &[OsString], name: &str) -> Option<OsString> {
    let at = arguments.iter().rposition(|word| flag(word) == name)?;
    arguments.get(at + 1).cloned()
}

/// The model of a preset. One that this halo does not know is called as its flag.
fn preset(name: &str) -> Option<String> {
    if let Some((_, repository)) = PRESETS.iter().find(|(flag, _)| *flag == name) {
        return Some((*repository).to_owned());
    }
    let is_preset = name.starts_with("--") && name.ends_with("-default") && name != NO_PRESET;
    is_preset.then(|| name.trim_start_matches('-').trim_end_matches("-default").to_owned())
}

fn in_repository(repository: &str, file: Option<&String>) -> NamedModel {
    let Some(file) = file.filter(|file| !file.is_empty()) else {
        return NamedModel::Reference(repository.to_owned());
    };
    // A file overrides the quantization.
    let repository = repository.split(':').next().unwrap_or(repository);
    NamedModel::Reference(format!("{repository}:{file}"))
}

/// A URL without a password and without what stands behind the path, where tokens are.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit('@').next().unwrap_or(host);
    format!("{scheme}://{host}/{path}")
}

/// The words of a list between commas.
fn words(list: &OsString) -> impl Iterator<Item = OsString> {
    let words = list.as_bytes().split(|byte| *byte == b',').filter(|word| !word.is_empty());
    words.map(|word| OsString::from_vec(word.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn file(path: &str) -> NamedModel {
        NamedModel::File(path.into())
    }

    fn reference(text: &str) -> NamedModel {
        NamedModel::Reference(text.to_owned())
    }

    #[test]
    fn llama_bench_takes_lists_of_files_and_repositories() {
        let of = |line: &str| of_bench(&argv(line));
        assert_eq!(of("-m a.gguf,b.gguf -p 512"), [file("a.gguf"), file("b.gguf")]);
        assert_eq!(of("-m a.gguf --model b.gguf"), [file("a.gguf"), file("b.gguf")]);
        assert_eq!(of("-hf org/X-GGUF:Q4_K_M"), [reference("org/X-GGUF:Q4_K_M")]);
        assert_eq!(
            of("-hfr org/X-GGUF:Q4_K_M,org/Y-GGUF -m a.gguf"),
            [file("a.gguf"), reference("org/X-GGUF:Q4_K_M"), reference("org/Y-GGUF")]
        );
        assert_eq!(
            of("--hf_repo org/X-GGUF:Q8_0 --hf_file x-Q4.gguf"),
            [reference("org/X-GGUF:x-Q4.gguf")]
        );
        assert_eq!(of("-p 512 -n 128"), []);
    }

    #[test]
    fn other_programs_take_one_model_in_the_order_of_llama_cpp() {
        for (line, expected) in [
            ("llama-server -m a.gguf", file("a.gguf")),
            ("llama-cli -m a.gguf -m b.gguf", file("b.gguf")),
            ("/opt/b/llama-server --hf-repo org/X-GGUF:Q8_0", reference("org/X-GGUF:Q8_0")),
            ("llama-server -hf org/X-GGUF -m x.gguf", reference("org/X-GGUF:x.gguf")),
            ("llama-server -hf org/X -hff sub/x.gguf", reference("org/X:sub/x.gguf")),
            (
                "llama-server -mu https://u:p@h/d/x-Q4.gguf?token=1#a",
                reference("https://h/d/x-Q4.gguf"),
            ),
            ("llama-server --model-url https://h/x.gguf -m y.gguf", file("y.gguf")),
            ("llama-server -dr ai/smollm2:135M-Q4_K_M", reference("ai/smollm2:135M-Q4_K_M")),
            ("llama-server --docker_repo gemma3", reference("gemma3")),
            ("llama-server --gpt-oss-20b-default", reference("ggml-org/gpt-oss-20b-GGUF")),
            ("llama-server --gpt-oss-9b-default --port 1", reference("gpt-oss-9b")),
            ("llama-server --models-dir /models", reference("models of /models")),
            ("llama-server --models-preset my.ini", reference("models of my.ini")),
            ("env A=b taskset -c 1 llama-cli -m a.gguf -p hello", file("a.gguf")),
            ("llama serve -hf org/X", reference("org/X")),
            ("llama-batched-bench -hf org/X:Q4_0 -npp 8", reference("org/X:Q4_0")),
            ("llama batched-bench -m a.gguf", file("a.gguf")),
        ] {
            assert_eq!(of_program(&argv(line), |_| None), [expected], "{line}");
        }
        for line in [
            "llama-server --spec-default",
            "python -m a.gguf",
            "llama-benchy --model Qwen/Qwen3-8B",
            "llama bench -m a.gguf",
            "true",
            "llama-server",
        ] {
            assert_eq!(of_program(&argv(line), |_| None), [], "{line}");
        }
    }

    #[test]
    fn variables_name_it_where_the_command_line_does_not() {
        let of = |line: &str, name: &str, value: &str| {
            of_program(&argv(line), |asked| (asked == name).then(|| value.into()))
        };
        let server = "llama-server --port 8080";
        for (name, value, expected) in [
            ("LLAMA_ARG_MODEL", "a.gguf", file("a.gguf")),
            ("LLAMA_ARG_HF_REPO", "org/X:Q4_0", reference("org/X:Q4_0")),
            ("LLAMA_ARG_MODEL_URL", "https://h/x.gguf", reference("https://h/x.gguf")),
            ("LLAMA_ARG_DOCKER_REPO", "ai/x", reference("ai/x")),
            ("LLAMA_ARG_MODELS_DIR", "/m", reference("models of /m")),
            ("LLAMA_ARG_MODELS_PRESET", "p.ini", reference("models of p.ini")),
        ] {
            assert_eq!(of(server, name, value), [expected], "{name}");
        }
        assert_eq!(of("llama-server -m b.gguf", "LLAMA_ARG_MODEL", "a.gguf"), [file("b.gguf")]);
        assert_eq!(of(server, "LLAMA_ARG_MODEL", ""), []);
    }
}
