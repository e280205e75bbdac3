//! Batches, through the service and without it.

use std::path::Path;

use playtrace::Exit;
use playtrace::service::api::RunBody;
use playtrace::service::batch::{Batch, Row, Runner, worst};
use playtrace::service::client::ServiceClient;
use playtrace::service::console::Console;
use playtrace_model::Slug;

use crate::app::World;

fn batch(world: &World, runner: Runner) -> Batch {
    Batch {
        runner,
        body: RunBody { trace_code: true, keep_shards: Some(false), ..RunBody::default() },
        profiles_root: world.path("profiles"),
        shards: world.path("coverage"),
        artifacts: world.path("artifacts"),
        retries: 2,
        jobs: 2,
    }
}

async fn replay(batch: Batch, slugs: &[&str]) -> Vec<(String, String, u32, Exit)> {
    let slugs: Vec<Slug> = slugs.iter().map(|slug| Slug::parse(slug).unwrap()).collect();
    let rows = batch.run(&slugs, &Console::new(false)).await;
    let row = |row: Row| (row.slug.to_string(), row.verdict, row.attempts, row.exit);
    rows.into_iter().map(row).collect()
}

fn expected(slug: &str, verdict: &str, attempts: u32, exit: Exit) -> (String, String, u32, Exit) {
    (slug.to_owned(), verdict.to_owned(), attempts, exit)
}

fn lines_of(path: &Path) -> usize {
    let data = playtrace_covdata::CoverageData::read(path).unwrap();
    data.lines().iter().map(|(_, _, lines)| lines.len()).sum()
}

#[tokio::test]
async fn each_profile_gets_its_merged_file() {
    let world = World::new(true).await;
    world.profile("bad", &["broken"]);
    world.profile("flaky", &["flaky", "ok"]);
    *world.app.hiccups.lock().await = 1;
    let old = world.path("coverage/good.coverage.host.1.Xabcdefx");
    fs_err::write(&old, "an old shard").unwrap();
    let url = world.serve(world.settings()).await;
    let runner = Runner::Service(ServiceClient::new(&url).unwrap());
    let rows = replay(batch(&world, runner), &["good", "bad", "flaky"]).await;
    assert_eq!(
        rows,
        [
            expected("good", "complete", 1, Exit::Success),
            // A step that fails by itself is not tried again; an answer of 503 is.
            expected("bad", "failed", 1, Exit::Failed),
            expected("flaky", "complete", 2, Exit::Success),
        ]
    );
    assert_eq!(lines_of(&world.path("artifacts/good.coverage")), 3);
    assert!(world.path("artifacts/flaky.verdict.json").is_file());
    assert!(!old.exists());
}

#[tokio::test]
async fn a_batch_needs_no_service() {
    let world = World::new(true).await;
    let runner = Runner::Here(Box::new(world.settings()));
    let rows = replay(batch(&world, runner), &["good"]).await;
    assert_eq!(rows, [expected("good", "complete", 1, Exit::Success)]);
    assert!(world.path("artifacts/good.coverage").is_file());
}

#[tokio::test]
async fn a_dry_batch_leaves_everything() {
    let world = World::new(true).await;
    let old = world.path("coverage/good.coverage.host.1.Xabcdefx");
    fs_err::write(&old, "an old shard").unwrap();
    let mut batch = batch(&world, Runner::Here(Box::new(world.settings())));
    batch.body.dry_run = true;
    assert_eq!(replay(batch, &["good"]).await, [expected("good", "planned", 1, Exit::Success)]);
    assert!(old.is_file());
    assert!(!world.path("artifacts").exists() && !world.path("profiles/_runs").exists());
}

#[tokio::test]
async fn an_app_that_is_not_there_is_tried_again_and_named() {
    let world = World::new(true).await;
    let mut settings = world.settings();
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    settings.base_url = Some(format!("http://{free}"));
    let mut batch = batch(&world, Runner::Here(Box::new(settings)));
    batch.retries = 1;
    let slugs = [Slug::parse("good").unwrap()];
    let rows = batch.run(&slugs, &Console::new(false)).await;
    assert_eq!((rows[0].attempts, worst(&rows)), (2, Exit::Unreachable));
    assert!(rows[0].outcome.as_ref().unwrap_err().message.contains(&free.to_string()));
}
