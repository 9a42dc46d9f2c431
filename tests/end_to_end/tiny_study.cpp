#include "end_to_end/tiny_study.hpp"

#include "accuracy/images/synthetic_images.hpp"
#include "hdap/network/weights.hpp"
#include "hdap/network/zoo.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <fstream>
#include <stdexcept>
#include <utility>

namespace hdap::test {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t classes = 3;
constexpr std::int64_t extent = 16;

constexpr const char* configuration = R"([study]
name = "tiny"
seed = 7
[fleet]
benchmarks = 3
batch = 4
runs = 2
[fleet.synthetic]
devices = 60
[network]
name = "mobilenet_v1"
width = 0.25
weights = "weights.h5"
[data]
file = "images.h5"
held_out = 200
evaluation_images = 60
recalibration_images = 32
batch = 50
[profile]
candidates = 40
runs = 2
[surrogate]
trees = 20
[search]
population = 8
generations = 4
constraints = ["flops <= 0.9x"]
[finetune]
candidates = 1
images = 128
batch = 32
[run]
checkpoint_seconds = 0.05
)";

void write_split(storage::Hdf5Writer& file, const std::string& split,
                 const accuracy::ImageData& images) {
    const auto size = [](std::int64_t value) { return static_cast<std::size_t>(value); };
    file.write<std::uint8_t>(
        "/" + split + "/images", images.pixels,
        {size(images.count), size(images.channels), size(images.height), size(images.width)});
    file.write<std::int32_t>("/" + split + "/labels", images.labels);
}

void write_images(const fs::path& path) {
    const auto split = [](std::int64_t count, std::uint32_t seed) {
        return accuracy::testing::synthetic_images({.count = count,
                                                    .channels = 1,
                                                    .height = extent,
                                                    .width = extent,
                                                    .classes = classes,
                                                    .seed = seed});
    };
    const auto train = split(500, 1);
    storage::Hdf5Writer file;
    storage::write_identity(
        file, {.schema = accuracy::images_schema, .config_sha256 = "", .input_sha256 = ""});
    file.attribute("/", "classes", classes);
    file.write<double>("/mean", train.mean);
    file.write<double>("/deviation", train.deviation);
    write_split(file, "train", train);
    write_split(file, "test", split(100, 2));
    storage::write_sealed(path, file.finish());
}

/// Weights as they come before any training.
void write_initial_weights(const fs::path& path) {
    const auto network = network::make_network({.name = "mobilenet_v1",
                                                .width = 0.25,
                                                .classes = classes,
                                                .input_channels = 1,
                                                .input_extent = {extent, extent}});
    storage::Hdf5Writer file;
    storage::write_identity(
        file, {.schema = network::weights_schema, .config_sha256 = "", .input_sha256 = ""});
    network::write_weights(file, network::initial_weights(network, 1));
    storage::write_sealed(path, file.finish());
}

} // namespace

TinyStudy::TinyStudy(Weights weights) {
    write_images(folder_ / "images.h5");
    std::ofstream(config()) << configuration;
    fs::create_directory(folder_ / "tmp");
    if (weights == Weights::initial) {
        write_initial_weights(folder_ / "weights.h5");
        return;
    }
    const Outcome training = call(
        {.ranks = 0}, {"train", "mobilenet_v1", "--width", "0.25", "--data", folder_ / "images.h5",
                       "--held-out", "200", "--epochs", "2", "--batch", "16", "--learning-rate",
                       "0.05", "--no-augment", "--seed", "2", "--out", folder_ / "weights.h5"});
    if (training.exit_code != 0) throw std::runtime_error("hdap train: " + training.errors);
}

Process TinyStudy::start(const Launch& launch, const Arguments& arguments) const {
    Arguments command;
    if (launch.ranks > 0)
        command = {HDAP_MPIEXEC, "--quiet", "--oversubscribe",           "--bind-to",
                   "none",       "-n",      std::to_string(launch.ranks)};
    command.push_back(hdap_program());
    command.insert(command.end(), arguments.begin(), arguments.end());
    // A killed job leaves its shared memory behind: here it goes with the folder.
    const std::string temporary = folder_ / "tmp";
    Process::Environment environment{{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                                     {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                                     {"OMPI_MCA_btl_vader_backing_directory", temporary},
                                     {"TMPDIR", temporary}};
    environment.insert(environment.end(), launch.environment.begin(), launch.environment.end());
    return Process(command, environment);
}

Process TinyStudy::start_run(const Launch& launch, const std::string& run_directory,
                             const Arguments& more) const {
    Arguments arguments{"run",       config(),
                        "--threads", std::to_string(launch.threads),
                        "--out",     folder_ / run_directory};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return start(launch, arguments);
}

Outcome TinyStudy::call(const Launch& launch, const Arguments& arguments) const {
    return start(launch, arguments).wait();
}

Outcome TinyStudy::run(const Launch& launch, const std::string& run_directory,
                       const Arguments& more) const {
    return start_run(launch, run_directory, more).wait();
}

fs::path hdap_program() {
    return fs::canonical(HDAP_PROGRAM);
}

std::string telemetry_csv(int devices, double slow) {
    std::string text = "device_id,benchmark,latency_us\n";
    for (int d = 0; d < devices; ++d)
        for (const auto& [benchmark, us] : {std::pair("large", 20000), std::pair("small", 3000)})
            text += "unit-" + std::to_string(d) + "," + benchmark + "," +
                    std::to_string(us * (d % 3 == 0 ? slow : 1.0) * (1.0 + 1e-4 * d)) + "\n";
    return text;
}

} // namespace hdap::test
