// Disks that are full, or cannot be written.
#include "end_to_end/interruption.hpp"
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/tiny_study.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

using namespace hdap::test;
using Lines = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

/// A disk of a few megabytes, in memory; mounting one takes root's rights.
class SmallDisk {
  public:
    explicit SmallDisk(fs::path folder) : folder_(std::move(folder)) {
        fs::create_directory(folder_);
        mounted_ = ::mount("hdap-test", folder_.c_str(), "tmpfs", 0, "size=4m") == 0;
    }
    ~SmallDisk() {
        if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    [[nodiscard]] bool mounted() const noexcept { return mounted_; }

    bool make_read_only() const {
        return ::mount(nullptr, folder_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
    }

    /// Takes all the space there is at this moment.
    void fill() const {
        const int file = ::open(filler().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        constexpr std::array<char, 4096> block{};
        while (::write(file, block.data(), block.size()) > 0) {
        }
        ::close(file);
    }

    void make_space() const { fs::remove(filler()); }

  private:
    [[nodiscard]] fs::path filler() const { return folder_ / "filler"; }

    fs::path folder_;
    bool mounted_ = false;
};

} // namespace

TEST_CASE("a disk that is full at a checkpoint ends the job with 1, and with space again the same "
          "command completes the study",
          "[mpi]") {
    const Arguments longer{"--set", "search.generations=8"};
    const TinyStudy study;
    const SmallDisk disk(study / "disk");
    if (!disk.mounted()) {
        WARN("skipped: no right to mount a small disk");
        return;
    }
    REQUIRE(study.run({.ranks = 2}, "undisturbed", longer).exit_code == 0);
    const Outcome full =
        interrupted_run(study, {.ranks = 2}, "disk/run", longer, [&](Process& job) {
            // What the job frees between two checkpoints is taken, too.
            job.wait_until([&] {
                disk.fill();
                return false;
            });
        });
    INFO(full.errors);
    CHECK(full.exit_code == 1);
    CHECK_THAT(full.errors, Catch::Contains("hdap: error: cannot write ") &&
                                Catch::Contains("No space left on device") &&
                                !Catch::Contains("terminate called"));
    CHECK_NOTHROW(is_complete_search(study / "disk/run/search.h5"));
    disk.make_space();
    const Outcome continued = study.run({.ranks = 2}, "disk/run", longer);
    INFO(continued.errors);
    REQUIRE(continued.exit_code == 0);
    CHECK(differences(study / "undisturbed", study / "disk/run") == Lines{});
}

TEST_CASE("a disk that is full from the beginning ends the job with 1 and says so") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const SmallDisk disk(study / "disk");
    if (!disk.mounted()) {
        WARN("skipped: no right to mount a small disk");
        return;
    }
    disk.fill();
    const Outcome full = study.run({.ranks = 0}, "disk/run");
    INFO(full.errors);
    CHECK(full.exit_code == 1);
    CHECK_THAT(full.errors, Catch::Contains("No space left on device"));
}

TEST_CASE("a run directory that cannot be written ends with 3 and says so") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const SmallDisk disk(study / "disk");
    if (!disk.mounted() || !disk.make_read_only()) {
        WARN("skipped: no right to mount a small disk");
        return;
    }
    const Outcome outcome = study.run({.ranks = 0}, "disk/run");
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 3);
    CHECK_THAT(outcome.errors,
               Catch::Contains("disk/run") && Catch::Contains("Read-only file system"));
}
