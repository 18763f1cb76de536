use mirror_native::{engine::Engine, json, settings::Settings};
use std::time::Instant;
fn main() {
    let s = std::fs::read("/tmp/settings.json").unwrap();
    let settings = Settings::read(&json::read(&s).unwrap()).unwrap();
    let engine = Engine::new(settings, &std::fs::read("/tmp/dict.bin").unwrap());
    let data = std::fs::read("/tmp/corp/20000/bundles.jsonl").unwrap();
    let lines: Vec<(&[u8], bool)> = data
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| (l, false))
        .collect();
    for _ in 0..1 {
        let t = Instant::now();
        for l in &lines {
            assert!(json::read(l.0).is_some());
        }
        println!(
            "parse {:.1} us",
            t.elapsed().as_secs_f64() * 1e6 / lines.len() as f64
        );
        for encode in [false, true] {
            let t = Instant::now();
            let n = lines
                .chunks(64)
                .map(|c| {
                    engine
                        .verify(c, i64::MAX - (1 << 60), encode)
                        .iter()
                        .flatten()
                        .count()
                })
                .sum::<usize>();
            println!(
                "verify {encode} {:.1} us ({n})",
                t.elapsed().as_secs_f64() * 1e6 / lines.len() as f64
            );
        }
    }
}
