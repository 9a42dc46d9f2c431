// Every node of a job becomes a device of a measured fleet.
#include "hdap/storage/hdf5.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "slurm/cluster.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using namespace hdap::test;

TEST_CASE("fleet-measure.sbatch measures every node and names the devices after the nodes") {
    const TinyStudy study(TinyStudy::Weights::initial);
    Cluster cluster(study);
    const auto fleet = study / "measured.h5";
    const std::string job = cluster.submit(
        {"--nodes=2", "--time=10", slurm_file("fleet-measure.sbatch"), study.config(), "--out",
         fleet, "--rounds", "2", "--runs", "2", "--threads", "1"});
    const JobState end = cluster.wait(job);
    INFO(cluster.log(job));
    REQUIRE(end.state == "COMPLETED");
    const auto file = storage::Hdf5Reader::from_bytes(storage::read_sealed(fleet), fleet.string());
    CHECK(file.read_strings("/device_id") == std::vector<std::string>{"n1", "n2"});
    CHECK(cluster.call({hdap_program(), "fleet", "info", fleet}).exit_code == 0);
}
