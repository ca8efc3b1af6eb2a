//! The score card as Markdown, without pictures.

use std::fmt::Write;

use super::{ScoreCard, gain, protocol_title, rival, top5, value};

impl ScoreCard {
    /// The numbers of the card: the table of protocols, the most frequent mistake for each class,
    /// and the configuration.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("# {}\n\n{}\n\n", self.encoder, self.data);
        let names = self.baseline_names();
        let heads: String = names.iter().map(|name| format!(" {name} |")).collect();
        let _ = writeln!(
            text,
            "| protocol | setting | top-1 % |{heads} gain | over the best baseline | top-5 % | seconds |"
        );
        text += &format!("|---|---|---:|{}---:|---|---:|---:|\n", "---:|".repeat(names.len()));
        for score in &self.scores {
            let others = names.iter().map(|name| self.baseline(score, name));
            let others: String =
                others.map(|other| format!(" {} |", other.map_or(String::new(), value))).collect();
            let best = self.best(score);
            let _ = writeln!(
                text,
                "| {} | {} | {} |{others} {} | {} | {} | {:.1} |",
                protocol_title(&score.protocol),
                score.setting,
                value(score),
                best.map_or(String::new(), |best| gain(score, best)),
                best.map_or(String::new(), rival),
                top5(score),
                score.seconds
            );
        }
        text + &self.classes() + &self.epochs() + &self.settings()
    }

    fn classes(&self) -> String {
        let Some((score, matrix)) = self.confusion_shown() else { return String::new() };
        let (protocol, setting) = (protocol_title(&score.protocol), &score.setting);
        let mut text = format!("\n## Classes ({protocol}, {setting})\n\n");
        text += "| class | right % | most often taken for |\n|---|---:|---|\n";
        for (class, counts) in matrix.counts().iter().enumerate() {
            let Some(recall) = matrix.recall(class) else { continue };
            let others = counts.iter().enumerate().filter(|&(other, _)| other != class);
            let mistaken = others.max_by_key(|&(_, count)| count).filter(|&(_, &count)| count > 0);
            let mistaken = mistaken.map_or(String::new(), |(other, count)| {
                format!("{} ({count})", self.class_name(other))
            });
            let _ = writeln!(text, "| {} | {recall:.1} | {mistaken} |", self.class_name(class));
        }
        text
    }

    fn epochs(&self) -> String {
        let Some(history) = &self.history else { return String::new() };
        let mut text =
            "\n## Pre-training\n\n| epoch | training loss | validation loss |\n".to_string();
        text += "|---:|---:|---:|\n";
        for epoch in &history.epochs {
            let (train, valid) = (epoch.train_loss, epoch.valid_loss);
            let _ = writeln!(text, "| {} | {train:.4} | {valid:.4} |", epoch.epoch);
        }
        text
    }

    fn settings(&self) -> String {
        let Some(config) = &self.config else { return String::new() };
        format!("\n## Configuration\n\n```json\n{config:#}\n```\n")
    }
}
