//! Patterns, INI syntax, configuration and file selection: coverage.py's and CPython's own answers.

#![allow(clippy::unwrap_used, reason = "in tests, helpers included")]

#[path = "support/ask.rs"]
mod ask;

use ask::ask;
use playtrace_covdata::config::Release;
use playtrace_covdata::{CoverageConfig, Disposition, FileFilter, GlobMatcher, Installation};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tempfile::TempDir;

/// `count` samples, the same ones in each run of the tests.
fn samples<T: std::fmt::Debug>(strategy: &impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    let mut sample = || strategy.new_tree(&mut runner).expect("nothing is filtered out").current();
    (0..count).map(|_| sample()).collect()
}

#[test]
fn patterns_fit_what_they_fit_in_coverage_py() {
    let atom = prop_oneof![
        6 => "[abx]{1,2}", 3 => Just("*".to_owned()), 3 => Just("**".to_owned()), 2 => Just("?".to_owned()),
        5 => Just("/".to_owned()), 1 => Just("\\".to_owned()), 1 => Just("[ab]".to_owned()),
        1 => Just("[a-c]".to_owned()), 1 => Just("[^a]".to_owned()), 1 => Just("[!a]".to_owned()),
        1 => Just("[a&&b~~-]".to_owned()), 1 => Just("[".to_owned()), 1 => Just("]".to_owned()),
        1 => Just(".py".to_owned()), 1 => Just("+(".to_owned()), 1 => Just("ü".to_owned()),
        1 => Just("***".to_owned()), 1 => Just("[b-a]".to_owned()),
    ];
    let pattern = proptest::collection::vec(atom, 1..7).prop_map(|atoms| atoms.concat());
    let path = proptest::collection::vec(
        prop_oneof![4 => "[abx]{1,2}", 3 => Just("/".to_owned()), 1 => Just(".py".to_owned()), 1 => "[-!&+(ü\\\\]"],
        1..7,
    )
    .prop_map(|parts| parts.concat());
    let case = (proptest::collection::vec(pattern, 1..3), proptest::collection::vec(path, 12));
    let cases = samples(&case, 4000);

    let questions: Vec<Value> =
        cases.iter().map(|(patterns, paths)| json!({"patterns": patterns, "paths": paths})).collect();
    let answers = ask("match", std::path::Path::new("/"), &json!(questions));
    let mut fits = 0;
    for ((patterns, paths), theirs) in cases.iter().zip(answers.as_array().unwrap()) {
        if patterns.iter().any(|pattern| pattern.contains("[]")) {
            // coverage.py puts it into its regular expression, where it swallows what comes next; we refuse it.
            assert!(GlobMatcher::new(patterns.iter().map(String::as_str)).is_err());
            continue;
        }
        let ours = GlobMatcher::new(patterns.iter().map(String::as_str))
            .ok()
            .map(|matcher| paths.iter().map(|path| matcher.matches(path)).collect::<Vec<bool>>());
        fits += ours.iter().flatten().filter(|fits| **fits).count();
        assert_eq!(&json!(ours), theirs, "{patterns:?} on {paths:?}");
    }
    assert!(fits > 300, "only {fits} pairs fit: the samples say little");
}

#[test]
fn ini_files_are_read_as_cpython_reads_them() {
    let line = prop_oneof![
        4 => "\\[(run|report|paths|DEFAULT|coverage:run)\\]", 1 => "\\[a\\] x", 1 => "\\[a\\]\\]", 1 => Just("[]".to_owned()),
        8 => "(source|omit|Branch|context) ?[=:] ?(a|b, c|x = y|a # b|)", 4 => " {1,4}(a|b/\\*|x = 1|\\[run\\])",
        2 => Just(String::new()), 1 => Just("   ".to_owned()), 2 => " {0,2}[#;] note", 1 => Just("nonsense".to_owned()),
        1 => Just("= 1".to_owned()), 1 => Just("\tomit = t".to_owned()), 1 => Just("key with blanks : v".to_owned()),
    ];
    let newline = prop_oneof![8 => Just("\n"), 1 => Just("\r\n")];
    let text = proptest::collection::vec((line, newline), 0..9)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect::<String>());
    let texts = samples(&text, 8000);

    let answers = ask("ini", std::path::Path::new("/"), &json!(texts));
    let mut read = 0;
    for (text, theirs) in texts.iter().zip(answers.as_array().unwrap()) {
        let ours = playtrace_covdata::config::ini_options(text).ok();
        read += usize::from(ours.as_ref().is_some_and(|options| !options.is_empty()));
        // Where keys of [DEFAULT] come in order is of no consequence.
        let sorted = ours.map(|mut options| {
            options.sort();
            options
        });
        let mut theirs = theirs.clone();
        if let Some(options) = theirs.as_array_mut() {
            options.sort_by_key(ToString::to_string);
        }
        assert_eq!(json!(sorted), theirs, "{text}");
    }
    assert!(read > 300, "only {read} texts could be read: the samples say little");
}

/// Our configuration in the form in which the oracle gives its own.
fn described(config: &CoverageConfig) -> Value {
    let unknown = config.notices.iter().filter(|notice| notice.is_unknown).count();
    json!({
        "used": true,
        "unknown": unknown,
        "branch": config.branch,
        "parallel": config.parallel,
        "context": config.context,
        "data_file": config.data_file,
        "relative_files": config.relative_files,
        "cover_pylib": config.cover_pylib,
        "source": config.source,
        "source_pkgs": config.source_pkgs,
        "source_dirs": config.source_dirs,
        "run_include": config.run_include,
        "run_omit": config.run_omit,
        "exclude": config.exclude,
        "partial": config.partial,
        "partial_always": config.partial_always,
        "report_include": config.report_include,
        "report_omit": config.report_omit,
        "namespaces": config.include_namespace_packages,
        "paths": config.paths,
    })
}

#[test]
fn settings_are_coverage_pys() {
    let dir = TempDir::new().unwrap();
    let files = [
        (
            "customer.ini",
            "[run]\nrelative_files = True\nomit =\n    */tests/*\n    */site-packages/*, build/*\n\n[report]\nexclude_also =\n    raise NotImplementedError\n    if 0:, x\nexclude_lines =\n    # pragma: no cover\n",
        ),
        (
            "environment.ini",
            "[run]\ndata_file = ~/${WHERE}/$NAME\nsource = ${GONE-app, lib}\nomit = $GONE\ncontext = a$$b\n",
        ),
        ("unset.ini", "[run]\nomit = ${GONE?}\n"),
        ("no_boolean.ini", "[run]\nbranch = perhaps\n"),
        (
            "switches.ini",
            "[run]\nbranch = ON\nparallel: 1\ncover_pylib = no\nrelative_files=yes\nnew_thing = 1\n[report]\npartial_branches = only\npartial_also = also\npartial_branches_always =\n include = a,b\n",
        ),
        (
            "prefixed.ini",
            "[run]\nbranch = no\n[coverage:run]\nbranch = yes\n[coverage:report]\nomit = a\n b\n",
        ),
        ("setup.cfg", "[metadata]\nname = x\n[run]\nbranch = yes\n[coverage:run]\nomit = a\n"),
        ("paths.ini", "[paths]\nsource =\n    src\n    /home/*/src\n    ~/x\nOther = a, b\n"),
        (
            "tool.toml",
            "[tool.coverage.run]\nbranch = true\nomit = ['a/*', '${NAME}']\nsource = [\"app\"]\nparallel = 'false'\n[tool.coverage.report]\nexclude_also = [' x ', '', 'y']\n[tool.coverage.paths]\nsource = ['src', '~/x']\n[tool.other]\nrun = 1\n",
        ),
        ("no_list.toml", "[tool.coverage.run]\nomit = 'a'\n"),
        ("broken.toml", "[tool.coverage.run\n"),
        ("duplicate.ini", "[run]\nomit = a\nOMIT = b\n"),
        ("orphan.ini", "omit = a\n"),
    ];
    let environment = |name: &str| {
        [("WHERE", "in/here"), ("NAME", "file"), ("HOME", "/home/me")]
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| (*value).to_owned())
    };
    let mut questions = Vec::new();
    for (name, text) in files {
        fs_err::write(dir.path().join(name), text).unwrap();
        let set = json!({"WHERE": "in/here", "NAME": "file", "HOME": "/home/me"});
        questions.push(json!({"name": name, "ours": name != "setup.cfg", "environment": set}));
    }
    let answers = ask("config", dir.path(), &json!(questions));
    for ((name, _), theirs) in files.iter().zip(answers.as_array().unwrap()) {
        let path = dir.path().join(name);
        let ours = if *name == "setup.cfg" {
            CoverageConfig::discover(dir.path(), None, Release::PINNED, &environment)
        } else {
            CoverageConfig::read(&path, &environment)
        };
        match ours {
            Ok(config) => assert_eq!(&described(&config), theirs, "{name}"),
            Err(error) => {
                assert!(theirs.is_null(), "{name}: {error}, but coverage.py takes it");
                let text = error.to_string();
                assert!(text.contains(*name), "{text} does not name its file");
            }
        }
    }
}

#[test]
fn the_same_files_are_measured_under_the_same_names() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let sources =
        ["app/__init__.py", "app/core.py", "app/tests/test_x.py", "jobs/work.py", "main.py", "app.x/odd.py"];
    for file in sources {
        fs_err::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs_err::write(root.join(file), "x = 1\n").unwrap();
    }
    std::os::unix::fs::symlink(root.join("app"), root.join("linked")).unwrap();
    let configs = [
        "[run]\n",
        "[run]\nrelative_files = yes\nomit = */tests/*\n",
        "[run]\nrelative_files = yes\nomit = app/*\n",
        "[run]\nomit = linked/*\n  main.py\n",
        "[run]\nrelative_files = yes\nsource = .\n",
        "[run]\nsource = app\n  jobs\n",
        "[run]\nsource_pkgs = main\n  json\n",
        "[run]\nsource = app\ninclude = jobs/*\n",
        "[run]\ninclude = jobs/*, */json/*\n",
        "[run]\ncover_pylib = yes\n",
        "[run]\nsource_dirs = app\nomit = **/test_?.py\n",
    ];
    let mut names = Vec::new();
    for (index, text) in configs.iter().enumerate() {
        names.push(format!("{index}.ini"));
        fs_err::write(root.join(&names[index]), text).unwrap();
    }
    let plain = ask("trace", &root, &json!({"configs": [], "files": []}));
    let places = |key: &str| -> Vec<std::path::PathBuf> {
        plain[key].as_array().unwrap().iter().map(|text| text.as_str().unwrap().into()).collect()
    };
    let installed = Installation {
        stdlib: places("stdlib"),
        third_party: places("third_party"),
        tracers: places("tracers"),
    };
    let mut files: Vec<String> =
        sources.iter().map(|file| root.join(file).to_string_lossy().into_owned()).collect();
    files.extend(sources.map(str::to_owned));
    files.extend(
        ["linked/core.py", "", "<string>", "memory:x", "app/gone.py", "/elsewhere/y.py"].map(str::to_owned),
    );
    for place in [&installed.stdlib, &installed.third_party, &installed.tracers].into_iter().flatten() {
        files.push(place.join("thing.py").to_string_lossy().into_owned());
        files.push(place.join("json/decoder.py").to_string_lossy().into_owned());
    }

    let theirs = ask("trace", &root, &json!({"configs": names, "files": files}));
    for (index, text) in configs.iter().enumerate() {
        let config = CoverageConfig::read(&root.join(&names[index]), &|_| None).unwrap();
        let filter = FileFilter::new(&config, &root, &installed).unwrap();
        let ours: Vec<Option<String>> = files
            .iter()
            .map(|file| match filter.disposition(file, None) {
                Disposition::Traced(name) => Some(name.to_string()),
                Disposition::NotTraced { .. } => None,
            })
            .collect();
        for ((file, ours), theirs) in files.iter().zip(ours).zip(theirs["answers"][index].as_array().unwrap())
        {
            // The tracers' own code is never traced here; coverage.py would with a source or include.
            if installed.tracers.iter().any(|place| std::path::Path::new(file).starts_with(place)) {
                assert_eq!(ours, None);
                continue;
            }
            assert_eq!(&json!(ours), theirs, "{file} with {text}");
        }
    }
}
