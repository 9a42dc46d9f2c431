#include "hdap/accuracy/image_folder.hpp"

#include "folder_listing.hpp"
#include "hdap/accuracy/image_file.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/core/text.hpp"
#include "image_writer.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <exception>
#include <span>
#include <utility>

namespace hdap::accuracy {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_examples = 10;

[[noreturn]] void fail(const fs::path& path, const std::string& what) {
    throw core::DataError(core::printable(path.string()) + ": " + what);
}

void shuffle(std::vector<ImagePath>& images, std::uint64_t seed) {
    core::RandomStream random(seed, core::StreamId::image_order);
    std::vector<ImagePath> shuffled;
    shuffled.reserve(images.size());
    for (const std::size_t i : random.permutation(images.size()))
        shuffled.push_back(std::move(images[i]));
    images = std::move(shuffled);
}

/// The pixels of an image, or why there are none.
struct Loaded {
    std::vector<std::uint8_t> pixels;
    bool is_turned = false; ///< as stored
    std::string problem;
    std::exception_ptr failure; ///< of this program or machine, not of the image
};

Loaded load(const fs::path& path, const ImageFolderParameters& parameters) {
    Loaded loaded;
    try {
        DecodedImage image = decode_image(read_file(path), static_cast<int>(parameters.channels));
        loaded.is_turned = image.orientation != 1;
        if (parameters.orientation == Orientation::exif) image = upright(std::move(image));
        loaded.pixels = centre_square(image, parameters.size, parameters.short_side);
    } catch (const core::DataError& error) {
        loaded.problem = error.what();
    } catch (...) {
        loaded.failure = std::current_exception();
    }
    return loaded;
}

std::vector<Loaded> load(const fs::path& folder, std::span<const ImagePath> images,
                         const ImageFolderParameters& parameters) {
    std::vector<Loaded> batch(images.size());
#pragma omp parallel for schedule(dynamic)
    for (std::size_t i = 0; i < images.size(); ++i)
        batch[i] = load(folder / images[i].path, parameters);
    return batch;
}

void add_example(std::int64_t& count, std::vector<std::string>& examples, const ImagePath& image) {
    ++count;
    if (examples.size() < most_examples) examples.push_back(core::printable(image.path));
}

/// A problem without its numbers.
std::string kind_of(std::string problem) {
    std::erase_if(problem, [](unsigned char letter) { return std::isdigit(letter) != 0; });
    return problem;
}

/// Names the first ones, and later ones whose problem none of these has.
void add_corrupt(ImageFolderReport& report, const ImagePath& image, const std::string& problem) {
    ++report.corrupt;
    const bool is_new = report.kinds.insert(kind_of(problem)).second;
    if (report.examples.size() < most_examples ||
        (is_new && report.examples.size() < 3 * most_examples))
        report.examples.push_back(core::printable(image.path) + " " + problem);
}

void append(ImageWriter& writer, std::span<const ImagePath> images,
            const std::vector<Loaded>& batch, ImageFolderReport& report) {
    std::vector<std::uint8_t> pixels;
    std::vector<std::int32_t> labels;
    for (std::size_t i = 0; i < images.size(); ++i) {
        if (batch[i].failure) std::rethrow_exception(batch[i].failure);
        if (batch[i].problem.empty()) {
            pixels.insert(pixels.end(), batch[i].pixels.begin(), batch[i].pixels.end());
            labels.push_back(images[i].label);
            if (batch[i].is_turned) add_example(report.turned, report.turned_examples, images[i]);
        } else {
            add_corrupt(report, images[i], batch[i].problem);
        }
    }
    writer.append(pixels, labels);
}

std::size_t batch_size(const ImageFolderParameters& parameters) {
    constexpr std::int64_t bytes = std::int64_t{1} << 25;
    const std::int64_t image = parameters.channels * parameters.size * parameters.size;
    return static_cast<std::size_t>(std::clamp<std::int64_t>(bytes / image, 64, 1024));
}

void check_corrupt(const fs::path& folder, const ImageFolderReport& report,
                   const ImageFolderParameters& parameters, std::int64_t total) {
    if (report.corrupt <= parameters.max_corrupt) return;
    const std::int64_t more = report.corrupt - static_cast<std::int64_t>(report.examples.size());
    fail(folder,
         fmt::format("{} of {} images cannot be used, {} may be left out (--max-corrupt): {}{}",
                     report.corrupt, total, parameters.max_corrupt,
                     core::join(report.examples, "; "),
                     more > 0 ? fmt::format("; and {} more", more) : ""));
}

} // namespace

ImageFolderReport pack_image_folder(const fs::path& folder, const fs::path& output,
                                    const ImageFolderParameters& parameters,
                                    const ImageFolderProgress& on_progress) {
    FolderListing listing = list_image_folder(folder, parameters);
    auto& [classes, train, test, test_folder, warnings] = listing;
    ImageFolderReport report;
    report.test_folder = test_folder;
    report.warnings = warnings;
    report.train_images = static_cast<std::int64_t>(train.size());
    report.test_images = static_cast<std::int64_t>(test.size());
    shuffle(train, parameters.seed);

    const std::int64_t total = report.train_images + report.test_images;
    ImageWriter writer(output, {.channels = parameters.channels,
                                .height = parameters.size,
                                .width = parameters.size,
                                .class_names = classes,
                                .most_images = total});
    std::int64_t done = 0;
    const auto pack_split = [&](const std::string& name, std::span<const ImagePath> images) {
        writer.begin_split(name, static_cast<std::int64_t>(images.size()));
        while (!images.empty()) {
            const auto part = images.first(std::min(batch_size(parameters), images.size()));
            append(writer, part, load(folder, part, parameters), report);
            images = images.subspan(part.size());
            done += static_cast<std::int64_t>(part.size());
            if (on_progress && !on_progress(done, total)) return false;
        }
        return true;
    };
    report.stopped = !pack_split("train", train) || !pack_split("test", test);
    if (report.stopped) return report;
    check_corrupt(folder, report, parameters, total);
    writer.commit(folder.string());
    return report;
}

} // namespace hdap::accuracy
