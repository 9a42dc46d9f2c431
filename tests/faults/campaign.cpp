// The fault campaign: rounds of random faults, after each of which a study goes on and must end in
// the result of an undisturbed one, bit for bit.
//
//   fault_campaign ROUNDS [FIRST]
#include "end_to_end/file_damage.hpp"
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/small_disk.hpp"
#include "end_to_end/tiny_study.hpp"
#include "hdap/core/random.hpp"
#include "hdap/core/text.hpp"

#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <stdexcept>

namespace {

using namespace hdap;
using namespace hdap::test;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;
namespace fs = std::filesystem;

enum class Fault {
    kill_all_ranks,
    kill_one_rank,
    kill_in_checkpoint,
    stop_signal,
    full_disk,
    truncated_checkpoint,
    flipped_bits,
};

constexpr std::array<const char*, 7> fault_names{
    "all ranks killed", "one rank killed",      "killed in a checkpoint's write", "signal to stop",
    "disk full",        "checkpoint truncated", "checkpoint's bits inverted"};

const Arguments longer{"--set", "search.generations=8"};

/// How often each fault was tried, and hit a running job.
struct Count {
    int tried = 0;
    int hit = 0;
};

/// A job that must not end as it did.
struct UnexpectedEnd : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// One round: a few faults on one study, and its completion.
class Round {
  public:
    Round(const TinyStudy& study, int number, Seconds undisturbed, std::map<Fault, Count>& counts)
        : study_(study), name_("round-" + std::to_string(number)), undisturbed_(undisturbed),
          counts_(counts),
          random_(2026, core::StreamId::testing, static_cast<std::uint32_t>(number)) {}

    /// Returns what happened, in words. Throws UnexpectedEnd.
    std::string run() {
        std::optional<SmallDisk> disk;
        fs::create_directory(study_ / name_);
        const std::uint64_t faults = 1 + random_.below(3);
        std::string story;
        for (std::uint64_t i = 0; i < faults; ++i) {
            const auto fault = static_cast<Fault>(random_.below(fault_names.size()));
            // A disk can only be mounted before there is anything in the run directory.
            if (fault == Fault::full_disk && i == 0) disk.emplace(study_ / name_);
            story += std::string(fault_names[static_cast<std::size_t>(fault)]) + ", ";
            const bool hit = inflict(fault, disk);
            ++counts_[fault].tried;
            counts_[fault].hit += hit ? 1 : 0;
        }
        const Launch launch = random_launch();
        const Outcome end = study_.run(launch, run_directory(), longer);
        if (end.exit_code != 0) throw UnexpectedEnd(story + "not completed: " + end.errors);
        const auto different = differences(study_ / "undisturbed", study_ / run_directory());
        if (!different.empty()) throw UnexpectedEnd(story + "result differs: " + different.front());
        if (file_listing(study_ / run_directory()).find(".tmp.") != std::string::npos)
            throw UnexpectedEnd(story + "temporary files are left");
        disk.reset();
        fs::remove_all(study_ / name_);
        return story + "completed on " + std::to_string(launch.ranks) + " × " +
               std::to_string(launch.threads);
    }

  private:
    [[nodiscard]] std::string run_directory() const { return name_ + "/run"; }

    Launch random_launch() {
        return {.ranks = 1 + static_cast<int>(random_.below(4)),
                .threads = 1 + static_cast<int>(random_.below(2))};
    }

    /// Returns whether the fault hit: a job may be complete before.
    bool inflict(Fault fault, const std::optional<SmallDisk>& disk) {
        switch (fault) {
        case Fault::kill_in_checkpoint:
            return kill_in_checkpoint();
        case Fault::full_disk:
            return disk && disk->mounted() && fill(*disk);
        case Fault::truncated_checkpoint:
        case Fault::flipped_bits:
            return damage(fault);
        default:
            return disturb(fault);
        }
    }

    /// Kills a job, or asks it to stop, at a random moment.
    bool disturb(Fault fault) {
        Process job = study_.start_run(random_launch(), run_directory(), longer);
        if (!wait_at_random(job)) return complete(job);
        const auto ranks = job.running(hdap_program());
        if (fault == Fault::kill_all_ranks || ranks.empty())
            job.kill_all();
        else
            ::kill(ranks[random_.below(ranks.size())],
                   fault == Fault::kill_one_rank ? SIGKILL : SIGUSR2);
        const Outcome outcome = job.wait();
        // A signal that comes before the handlers are installed ends the job as a kill does.
        return ended_with(outcome, {75, 128 + SIGKILL, 128 + SIGUSR2});
    }

    bool kill_in_checkpoint() {
        Launch launch = random_launch();
        launch.environment.emplace_back("LD_PRELOAD", HDAP_SLOW_WRITES);
        Process job = study_.start_run(launch, run_directory(), longer);
        const auto writing = [&] {
            for (const auto& entry : fs::directory_iterator(study_ / run_directory()))
                if (entry.path().filename().string().starts_with("search.h5.tmp.")) return true;
            return false;
        };
        const auto skip = random_.below(3);
        for (std::uint64_t i = 0; i <= skip; ++i) {
            const bool begun =
                job.wait_until([&] { return fs::exists(study_ / run_directory()) && writing(); });
            if (!begun) return complete(job);
            if (i < skip && !job.wait_until([&] { return !writing(); })) return complete(job);
        }
        job.kill_all();
        return ended_with(job.wait(), {128 + SIGKILL});
    }

    bool fill(const SmallDisk& disk) {
        Process job = study_.start_run(random_launch(), run_directory(), longer);
        if (!wait_at_random(job)) return complete(job);
        job.wait_until([&] { // until the job has ended; what it frees is taken, too
            disk.fill();
            return false;
        });
        const bool hit = ended_with(job.wait(), {1});
        disk.make_space();
        return hit;
    }

    /// Damages the newer of two checkpoints; a job that is stopped at random makes them first.
    bool damage(Fault fault) {
        const fs::path current = study_ / run_directory() / "search.h5";
        const auto two = [&] { return fs::exists(study_ / run_directory() / "search.prev.h5"); };
        for (int attempt = 0; attempt < 3 && !two(); ++attempt)
            disturb(Fault::stop_signal);
        if (!two()) return false;
        if (fault == Fault::truncated_checkpoint)
            fs::resize_file(current, random_.below(fs::file_size(current)));
        else
            for (int i = 0; i < 3; ++i)
                flip_byte(current, random_.uniform());
        return true;
    }

    /// Waits for a random share of a study's time; returns whether the job still runs then.
    bool wait_at_random(Process& job) {
        const auto end = Clock::now() + random_.uniform() * undisturbed_;
        return job.wait_until([&] { return Clock::now() > end; });
    }

    bool complete(Process& job) const { return ended_with(job.wait(), {}); }

    /// Whether a job ended with one of these codes. Complete is well, too, but no hit.
    bool ended_with(const Outcome& outcome, const std::vector<int>& codes) const {
        if (outcome.exit_code == 0) return false;
        for (const int code : codes)
            if (outcome.exit_code == code) return true;
        throw UnexpectedEnd("ended with " + std::to_string(outcome.exit_code) + ": " +
                            outcome.errors);
    }

    const TinyStudy& study_;
    std::string name_;
    Seconds undisturbed_;
    std::map<Fault, Count>& counts_;
    core::RandomStream random_;
};

int number_of(const char* text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text, text + std::strlen(text), value);
    if (error != std::errc() || *end != '\0' || value < 1 || value > 1'000'000)
        throw std::invalid_argument(std::string("'") + text + "' is no number of rounds");
    return value;
}

int run_campaign(int rounds, int first) {
    const TinyStudy study;
    const auto begin = Clock::now();
    const Outcome undisturbed = study.run({.ranks = 2}, "undisturbed", longer);
    if (undisturbed.exit_code != 0) throw std::runtime_error(undisturbed.errors);
    const Seconds time = Clock::now() - begin;
    std::map<Fault, Count> counts;
    int lost = 0;
    for (int number = first; number < first + rounds; ++number) {
        const auto start = Clock::now();
        std::string story;
        try {
            story = Round(study, number, time, counts).run() + ": equal";
        } catch (const std::runtime_error& error) {
            ++lost;
            story = std::string("LOST: ") + error.what();
        }
        std::printf("round %d (%.1f s): %s\n", number, Seconds(Clock::now() - start).count(),
                    story.c_str());
        std::fflush(stdout);
    }
    std::printf("\n%-32s %6s %6s\n", "fault", "tried", "hit");
    for (const auto& [fault, count] : counts)
        std::printf("%-32s %6d %6d\n", fault_names[static_cast<std::size_t>(fault)], count.tried,
                    count.hit);
    std::printf("\n%d rounds, %d lost, %s\n", rounds, lost,
                core::duration_text(Seconds(Clock::now() - begin).count()).c_str());
    return lost == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    try {
        if (argc < 2 || argc > 3)
            throw std::invalid_argument("usage: fault_campaign ROUNDS [FIRST]");
        return run_campaign(number_of(argv[1]), argc > 2 ? number_of(argv[2]) : 1);
    } catch (const std::invalid_argument& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "the campaign cannot run: %s\n", error.what());
        return 1;
    }
}
