#include "hdap/fleet/host_conditions.hpp"

#include "hdap/fleet/measurement.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <fstream>

using namespace hdap;
namespace fs = std::filesystem;

namespace {

void write(const fs::path& file, const std::string& text) {
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
}

const std::string cpufreq = "sys/devices/system/cpu/cpu0/cpufreq/";

} // namespace

TEST_CASE("Conditions are read from proc and sys", "[host_conditions]") {
    const test::TemporaryFolder root;
    write(root / "proc/cpuinfo",
          "processor\t: 0\nmodel name\t: Fast \x1b[1mChip\ncpu MHz\t: 2400.5\n");
    write(root / "proc/loadavg", "1.25 0.5 0.1 1/100 1234\n");
    write(root / (cpufreq + "scaling_governor"), "performance\n");
    write(root / "sys/class/thermal/thermal_zone0/temp", "41000\n");
    write(root / "sys/class/thermal/thermal_zone1/temp", "63500\n");
    write(root / "sys/class/thermal/thermal_zone2/temp", "not known\n");
    write(root / "sys/class/thermal/cooling_device0/temp", "99000\n");
    const fleet::ConditionWatch watch(root.path());
    write(root / (cpufreq + "scaling_cur_freq"), "1800000\n");
    const auto conditions = watch.conditions();
    CHECK(conditions.processor == "Fast [1mChip");
    CHECK(conditions.governor == "performance");
    CHECK(conditions.load_average_start == 1.25);
    CHECK(conditions.temperature_c_start == 63.5);
    CHECK(conditions.frequency_mhz_start == 2400.5);
    CHECK(conditions.frequency_mhz_end == 1800.0);
    CHECK_FALSE(conditions.host.empty());
    CHECK(conditions.cores >= 1);
}

TEST_CASE("A board without a processor's name goes by its own", "[host_conditions]") {
    const test::TemporaryFolder root;
    write(root / "proc/device-tree/model", std::string("Some Board\0", 11));
    CHECK(fleet::ConditionWatch(root.path()).conditions().processor == "Some Board");
}

TEST_CASE("What cannot be read is unknown", "[host_conditions]") {
    const test::TemporaryFolder nothing;
    const auto conditions = fleet::ConditionWatch(nothing.path()).conditions();
    CHECK(conditions.processor.empty());
    CHECK(std::isnan(conditions.frequency_mhz_start));
    CHECK(std::isnan(conditions.temperature_c_end));
    CHECK(std::isnan(conditions.load_average_end));
    CHECK(std::isnan(conditions.cores_used_by_others));
    CHECK(fleet::disturbance(conditions).empty());
}

TEST_CASE("Own processor time is not that of others", "[host_conditions]") {
    const test::TemporaryFolder root;
    write(root / "proc/stat", "cpu  100 0 0 0 0 0 0 0 0 0\n");
    const fleet::ConditionWatch watch(root.path());
    // A tenth of a second of work of our own, which the simulated kernel counts.
    const double begin = fleet::monotonic_ms();
    while (fleet::monotonic_ms() < begin + 100.0) {
    }
    write(root / "proc/stat", "cpu  110 0 0 0 0 0 0 0 0 0\n");
    const double alone = watch.conditions().cores_used_by_others;
    write(root / "proc/stat", "cpu  110 0 0 5000 0 0 0 50 0 0\n");
    const auto disturbed = watch.conditions();
    CHECK(disturbed.cores_used_by_others > alone + 1.0);
    CHECK_THAT(fleet::disturbance(disturbed), Catch::Contains("other programs used"));
}
