use tempfile::TempDir;

use super::*;

fn tree(files: &[&str]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, "x = 1\n").unwrap();
    }
    dir
}

fn filter(dir: &TempDir, config: &CoverageConfig) -> FileFilter {
    let installed = Installation {
        stdlib: vec![dir.path().join("lib/python3.12")],
        third_party: vec![dir.path().join("venv/site-packages")],
        tracers: vec![dir.path().join("venv/site-packages/playtrace_agent")],
    };
    FileFilter::new(config, dir.path(), &installed).unwrap()
}

fn traced(filter: &FileFilter, file: &str) -> bool {
    matches!(filter.disposition(file, None), Disposition::Traced(_))
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

const FILES: [&str; 5] = [
    "app/__init__.py",
    "app/core.py",
    "lib/python3.12/json.py",
    "venv/site-packages/flask.py",
    "venv/site-packages/playtrace_agent/wsgi.py",
];

#[test]
fn without_source_the_apps_own_files_count() {
    let dir = tree(&FILES);
    let filter = filter(&dir, &CoverageConfig { relative_files: true, ..Default::default() });
    assert_eq!(
        filter.disposition("app/core.py", None),
        Disposition::Traced(MeasuredPath::new("app/core.py"))
    );
    let answers: Vec<bool> = FILES.iter().map(|file| traced(&filter, file)).collect();
    assert_eq!(answers, [true, true, false, false, false]);
    for unreal in ["", "<string>", "<frozen importlib._bootstrap>", "memory:1"] {
        assert!(!traced(&filter, unreal), "{unreal}");
    }
}

#[test]
fn links_count_by_where_they_lead() {
    let dir = tree(&FILES);
    std::os::unix::fs::symlink(dir.path().join("app"), dir.path().join("current")).unwrap();
    let filter = filter(&dir, &CoverageConfig { relative_files: true, ..Default::default() });
    assert_eq!(
        filter.disposition(&dir.path().join("current/core.py").to_string_lossy(), None),
        Disposition::Traced(MeasuredPath::new("app/core.py"))
    );
    assert_eq!(filter.measured_path(Path::new("current/core.py")).as_str(), "app/core.py");
}

#[test]
fn source_may_lie_among_third_party_code() {
    let dir = tree(&FILES);
    let filter = filter(&dir, &CoverageConfig { source: texts(&["flask", "app"]), ..Default::default() });
    let flask = filter.disposition("venv/site-packages/flask.py", Some("flask"));
    assert!(matches!(flask, Disposition::Traced(_)), "{flask:?}");
    assert!(traced(&filter, "app/core.py"));
    assert!(!traced(&filter, "lib/python3.12/json.py"));
}

#[test]
fn the_tracer_is_never_traced() {
    let dir = tree(&FILES);
    let filter = filter(&dir, &CoverageConfig { run_include: texts(&["*"]), ..Default::default() });
    assert!(traced(&filter, "venv/site-packages/flask.py"));
    assert!(!traced(&filter, "venv/site-packages/playtrace_agent/wsgi.py"));
}

#[test]
fn a_source_that_can_be_nothing_is_refused() {
    let dir = tree(&FILES);
    for name in ["./gone", "no such", "a/b"] {
        let config = CoverageConfig { source: texts(&[name]), ..Default::default() };
        let error = FileFilter::new(&config, dir.path(), &Installation::default()).unwrap_err();
        assert!(matches!(error, CovdataError::Source { .. }), "{name}: {error}");
    }
}

#[test]
fn files_below_are_what_could_be_measured() {
    let dir = tree(&[
        "app/__init__.py",
        "app/b.py",
        "app/a.py",
        "app/sub/__init__.py",
        "app/sub/c.py",
        "app/plain/d.py",
        "app/.#b.py",
        "app/notes.txt",
        "app/tests/__init__.py",
        "app/legacy/__init__.py",
    ]);
    let config = CoverageConfig {
        relative_files: true,
        run_omit: texts(&["*/tests/*"]),
        report_omit: texts(&["app/legacy/*"]),
        ..Default::default()
    };
    let names = |config: &CoverageConfig| -> Vec<String> {
        let found = filter(&dir, config).files_below(&[PathBuf::from("app")]).unwrap();
        found.into_iter().map(|(name, _)| name.to_string()).collect()
    };
    let expected = ["app/__init__.py", "app/a.py", "app/b.py", "app/sub/__init__.py", "app/sub/c.py"];
    assert_eq!(names(&config), expected);
    assert!(
        names(&CoverageConfig { include_namespace_packages: true, ..config })
            .contains(&"app/plain/d.py".to_owned())
    );
}
