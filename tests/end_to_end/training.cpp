// hdap train: on any number of ranks and threads, stopped, killed and damaged, it ends in the same
// weights.
#include "end_to_end/file_damage.hpp"
#include "end_to_end/tiny_study.hpp"
#include "hdap/network/weight_files.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <filesystem>
#include <map>

using namespace hdap::test;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

/// A small training, in batches of four shards; `more`, options with their values, may override.
Arguments training(const TinyStudy& study, const std::string& output, const Arguments& more = {}) {
    std::map<std::string, std::string> options{{"--width", "0.25"},
                                               {"--data", study / "images.h5"},
                                               {"--held-out", "200"},
                                               {"--batch", "32"},
                                               {"--shard", "8"},
                                               {"--epochs", "2"},
                                               {"--learning-rate", "0.05"},
                                               {"--out", study / output}};
    for (std::size_t i = 0; i + 1 < more.size(); i += 2)
        options[more[i]] = more[i + 1];
    Arguments arguments{"train", "mobilenet_v1"};
    for (const auto& [name, value] : options)
        arguments.insert(arguments.end(), {name, value});
    return arguments;
}

Outcome trained(const TinyStudy& study, const std::string& output, const Arguments& more = {},
                int ranks = 0) {
    return study.call({.ranks = ranks}, training(study, output, more));
}

/// All weights of a file, as bits.
std::string weights_of(const fs::path& file) {
    std::string bits;
    for (const auto& [name, tensor] : hdap::network::load_weights(file).weights) {
        bits += name;
        bits.append(reinterpret_cast<const char*>(tensor.values.data()),
                    tensor.values.size() * sizeof(float));
    }
    return bits;
}

bool same_weights(const fs::path& a, const fs::path& b) {
    const std::string bits = weights_of(a);
    return bits.size() > 1000 && bits == weights_of(b);
}

/// Long enough to be interrupted, with a checkpoint after every step.
const Arguments longer{"--epochs", "8", "--checkpoint-seconds", "0.01"};

void refuses(const TinyStudy& study, const Arguments& more, int exit_code,
             const std::vector<std::string>& parts) {
    const Outcome outcome = trained(study, "refused.h5", more);
    INFO(outcome.errors);
    CHECK(outcome.exit_code == exit_code);
    for (const std::string& part : parts)
        CHECK_THAT(outcome.errors, Contains(part));
    CHECK_FALSE(fs::exists(study / "refused.h5"));
}

} // namespace

TEST_CASE("training gives the same weights on any number of ranks and threads", "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const Arguments teacher{"--teacher", "mobilenet_v1", "--teacher-weights", study / "teacher.h5"};
    REQUIRE(trained(study, "teacher.h5", {"--width", "1", "--epochs", "0.5"}).exit_code == 0);
    const Outcome alone = trained(study, "alone.h5", teacher);
    INFO(alone.errors);
    REQUIRE(alone.exit_code == 0);
    CHECK_THAT(alone.output, Contains("held-out accuracy") && Contains("test accuracy"));
    const std::string history = text_of(study / "alone.h5.csv");
    CHECK_THAT(history, Contains("epoch,learning_rate,loss,train_accuracy,held_out_accuracy,") &&
                            Contains("\n2,"));
    for (const int ranks : {1, 2, 3})
        for (const char* threads : {"1", "3"}) {
            const std::string name = std::to_string(ranks) + threads + ".h5";
            Arguments more = teacher;
            more.insert(more.end(), {"--threads", threads});
            REQUIRE(trained(study, name, more, ranks).exit_code == 0);
            CHECK(same_weights(study / "alone.h5", study / name));
        }
    REQUIRE(trained(study, "plain.h5").exit_code == 0);
    CHECK_FALSE(same_weights(study / "alone.h5", study / "plain.h5"));
}

TEST_CASE("a training that is killed or stopped goes on to the undisturbed weights", "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    REQUIRE(trained(study, "undisturbed.h5", longer).exit_code == 0);
    const fs::path checkpoint = study / "disturbed.h5.checkpoint";
    int ranks = 1;
    for (const int signal : {SIGKILL, SIGTERM, SIGKILL}) {
        const auto before =
            fs::exists(checkpoint) ? fs::last_write_time(checkpoint) : fs::file_time_type::min();
        Process job = study.start({.ranks = ranks++}, training(study, "disturbed.h5", longer));
        // It goes on before it is disturbed again.
        REQUIRE(job.wait_until(
            [&] { return fs::exists(checkpoint) && fs::last_write_time(checkpoint) > before; }));
        if (signal == SIGKILL) {
            job.kill_all();
            continue;
        }
        for (const pid_t rank : job.running(hdap_program()))
            ::kill(rank, signal);
        const Outcome outcome = job.wait();
        INFO(outcome.errors);
        CHECK(outcome.exit_code == 75);
        CHECK_THAT(outcome.errors, Contains("run the same command again"));
    }
    CHECK_FALSE(fs::exists(study / "disturbed.h5"));
    const Outcome last = trained(study, "disturbed.h5", longer, 2);
    INFO(last.errors);
    REQUIRE(last.exit_code == 0);
    CHECK_THAT(last.errors, Contains("going on after step"));
    CHECK(same_weights(study / "undisturbed.h5", study / "disturbed.h5"));
    // The history is whole, too; its times are its own.
    CHECK_THAT(text_of(study / "disturbed.h5.csv"), Contains("\n1,") && Contains("\n8,"));
    CHECK_FALSE(fs::exists(checkpoint));
    CHECK_FALSE(fs::exists(study / "disturbed.h5.checkpoint.previous"));
    CHECK_FALSE(fs::exists(study / "disturbed.h5.lock"));
}

TEST_CASE("of a damaged checkpoint the one before it is used, and only damaged ones end with 3") {
    const TinyStudy study(TinyStudy::Weights::initial);
    REQUIRE(trained(study, "undisturbed.h5", longer).exit_code == 0);
    const fs::path checkpoint = study / "damaged.h5.checkpoint";
    const fs::path previous = study / "damaged.h5.checkpoint.previous";
    const auto interrupt = [&] {
        Process job = study.start({.ranks = 0}, training(study, "damaged.h5", longer));
        REQUIRE(job.wait_until([&] { return fs::exists(previous) && fs::exists(checkpoint); }));
        job.kill_all();
        flip_byte(checkpoint, 0.5);
    };
    interrupt();
    const Outcome went_on = trained(study, "damaged.h5", longer);
    INFO(went_on.errors);
    REQUIRE(went_on.exit_code == 0);
    CHECK_THAT(went_on.errors, Contains("damaged.h5.checkpoint") && Contains("going on from") &&
                                   Contains("going on after step"));
    CHECK(same_weights(study / "undisturbed.h5", study / "damaged.h5"));

    fs::remove(study / "damaged.h5");
    interrupt();
    fs::resize_file(previous, fs::file_size(previous) / 2);
    const Outcome refused = trained(study, "damaged.h5", longer);
    INFO(refused.errors);
    CHECK(refused.exit_code == 3);
    CHECK_THAT(refused.errors, Contains("there is no other checkpoint") && Contains("begin anew"));
    CHECK(fs::exists(checkpoint.string() + ".damaged"));
    CHECK(fs::exists(previous.string() + ".damaged"));
    CHECK_FALSE(fs::exists(study / "damaged.h5.lock"));
    const Outcome anew = trained(study, "damaged.h5", longer);
    INFO(anew.errors);
    REQUIRE(anew.exit_code == 0);
    CHECK(anew.errors.find("going on") == std::string::npos);
    CHECK(same_weights(study / "undisturbed.h5", study / "damaged.h5"));
}

TEST_CASE("a training that is done says so, and one with other settings does not write over it") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const Outcome first = trained(study, "done.h5");
    REQUIRE(first.exit_code == 0);
    const auto written = fs::last_write_time(study / "done.h5");
    const Outcome again = trained(study, "done.h5");
    CHECK(again.exit_code == 0);
    CHECK(again.output == "complete: " + first.output);
    const Outcome other = trained(study, "done.h5", {"--epochs", "3"});
    CHECK(other.exit_code == 2);
    CHECK_THAT(other.errors, Contains("done.h5 was made from other settings") &&
                                 Contains("choose another --out, or remove it"));
    CHECK(fs::last_write_time(study / "done.h5") == written);
    CHECK(trained(study, "done.onnx").exit_code == 0);
    const Outcome onnx = trained(study, "done.onnx");
    CHECK(onnx.exit_code == 2);
    CHECK_THAT(onnx.errors, Contains("done.onnx is there already"));
}

TEST_CASE("a checkpoint of another training is not used and not written over") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const fs::path checkpoint = study / "refused.h5.checkpoint";
    Process job = study.start({.ranks = 0}, training(study, "refused.h5", longer));
    REQUIRE(job.wait_until([&] { return fs::exists(checkpoint); }));
    // While it runs, nobody else may train to the same file.
    refuses(study, longer, 2, {"refused.h5 is being trained by another job"});
    job.kill_all();
    const auto written = fs::last_write_time(checkpoint);
    refuses(study, {"--epochs", "9"}, 2, {"refused.h5.checkpoint was made from other settings"});
    CHECK(fs::last_write_time(checkpoint) == written);
}

TEST_CASE("a loss that is not a number ends the training and keeps the last good checkpoint") {
    const TinyStudy study(TinyStudy::Weights::initial);
    refuses(study,
            {"--learning-rate", "100", "--weight-decay", "1", "--warmup", "0.5", "--epochs", "100",
             "--checkpoint-seconds", "0.01"},
            2, {"diverged", "learning_rate", "the state after step", "refused.h5.checkpoint"});
    CHECK(fs::exists(study / "refused.h5.checkpoint"));
}

TEST_CASE("bad options of a training are refused with what to do") {
    const TinyStudy study(TinyStudy::Weights::initial);
    refuses(study, {"--distillation", "0.5"}, 2, {"--distillation needs a --teacher"});
    refuses(study, {"--teacher", "resnet20"}, 2, {"resnet20", "--teacher-weights"});
    refuses(study, {"--held-out", "100000"}, 2, {"--held-out 100000", "training images"});
    refuses(study, {"--schedule", "cosin"}, 2, {"--schedule"});
    refuses(study, {"--weights", study / "images.h5"}, 3, {"images.h5"});
    refuses(study, {"--teacher-weights", "x.h5"}, 2, {"--teacher-weights needs a --teacher"});
    refuses(study, {"--teacher", ""}, 2, {"--teacher is empty"});
    refuses(study, {"--distillation-temperature", "2"}, 2, {"needs a --teacher"});
    for (const char* option : {"--learning-rate", "--epochs", "--checkpoint-seconds", "--width"})
        refuses(study, {option, "nan"}, 2, {option, "'nan' is not a finite number"});
    refuses(study, {"--momentum", "1"}, 2, {"--momentum", "'1' is not in [0 - 0.9999]"});
    const Outcome outcome = trained(study, "no-such-folder/weights.h5");
    CHECK(outcome.exit_code == 2);
    CHECK_THAT(outcome.errors, Contains("there is no folder") && Contains("no-such-folder"));
    CHECK(trained(study, "weights.txt").exit_code == 2);
    fs::create_directory(study / "folder.h5");
    const Outcome folder = trained(study, "folder.h5");
    CHECK(folder.exit_code == 2);
    CHECK_THAT(folder.errors, Contains("folder.h5: is a folder, not a file"));
}

TEST_CASE("nothing that is read is written over") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const std::string images = text_of(study / "images.h5");
    const Outcome training = trained(study, "images.h5");
    CHECK(training.exit_code == 2);
    CHECK_THAT(training.errors, Contains("images.h5: would destroy") && Contains("another file"));
    const Outcome pruning = study.call(
        {.ranks = 0}, {"network", "prune", "mobilenet_v1", "--width", "0.25", "--weights",
                       study / "weights.h5", "--keep", "0.5", "--data", study / "images.h5",
                       "--out", study / "other.h5", "--out", study / "tmp" / ".." / "images.h5"});
    CHECK(pruning.exit_code == 2);
    CHECK_THAT(pruning.errors, Contains("would destroy"));
    CHECK_FALSE(std::filesystem::exists(study / "other.h5"));
    CHECK(text_of(study / "images.h5") == images);
}

TEST_CASE("a pruned network is fine-tuned from its file to files of all formats") {
    const TinyStudy study;
    const Arguments prune{"network",
                          "prune",
                          "mobilenet_v1",
                          "--width",
                          "0.25",
                          "--weights",
                          study / "weights.h5",
                          "--keep",
                          "0.5",
                          "--data",
                          study / "images.h5",
                          "--out",
                          study / "half.h5"};
    REQUIRE(study.call({.ranks = 0}, prune).exit_code == 0);
    for (const char* format : {"h5", "onnx", "pt"}) {
        const std::string output = std::string("tuned.") + format;
        const Outcome outcome =
            study.call({.ranks = 0},
                       {"train", study / "half.h5", "--data", study / "images.h5", "--held-out",
                        "200", "--batch", "16", "--learning-rate", "0.02", "--out", study / output,
                        "--teacher", "mobilenet_v1", "--teacher-weights", study / "teacher.h5"});
        // The teacher's width is the zoo's.
        CHECK(outcome.exit_code == 3);
        const Outcome tuned =
            study.call({.ranks = 0}, {"train", study / "half.h5", "--data", study / "images.h5",
                                      "--held-out", "200", "--batch", "16", "--learning-rate",
                                      "0.02", "--epochs", "2", "--out", study / output});
        INFO(tuned.errors);
        REQUIRE(tuned.exit_code == 0);
        const Outcome evaluated = study.call(
            {.ranks = 0}, {"network", "eval", study / output, "--data", study / "images.h5"});
        INFO(evaluated.errors);
        CHECK(evaluated.exit_code == 0);
        // Both say the same accuracy.
        const auto metric = [](const std::string& text, const std::string& before) {
            const auto at = text.find(before) + before.size();
            return text.substr(at, text.find(" %", at) - at);
        };
        CHECK(metric(evaluated.output, "top-1 ") == metric(tuned.output, "test accuracy "));
    }
}

TEST_CASE("a study fine-tunes one network after another on all ranks, stopped or not", "[mpi]") {
    const TinyStudy study;
    const Arguments together{"--set", "finetune.batch=32",          "--set", "finetune.shard=8",
                             "--set", "finetune.distillation=0.5",  "--set", "finetune.epochs=6",
                             "--set", "run.checkpoint_seconds=0.01"};
    const Outcome alone = study.run({.ranks = 1, .threads = 2}, "alone", together);
    INFO(alone.errors);
    REQUIRE(alone.exit_code == 0);
    Process job = study.start_run({.ranks = 2}, "stopped", together);
    const auto training_checkpoint = [&] {
        if (!fs::exists(study / "stopped" / "networks")) return false;
        for (const auto& file : fs::directory_iterator(study / "stopped" / "networks"))
            if (file.path().string().ends_with(".training.h5")) return true;
        return false;
    };
    REQUIRE(job.wait_until(training_checkpoint));
    job.kill_all();
    const Outcome last = study.run({.ranks = 3}, "stopped", together);
    INFO(last.errors);
    REQUIRE(last.exit_code == 0);
    CHECK_FALSE(training_checkpoint());
    for (const auto& file : fs::directory_iterator(study / "alone" / "networks"))
        if (file.path().extension() == ".h5")
            CHECK(same_weights(file.path(),
                               study / "stopped" / "networks" / file.path().filename().string()));
    CHECK(text_of(study / "alone" / "front.csv") == text_of(study / "stopped" / "front.csv"));
}
