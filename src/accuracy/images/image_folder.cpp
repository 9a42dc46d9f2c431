#include "hdap/accuracy/image_folder.hpp"

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
constexpr std::size_t most_classes = 1'000'000;

/// A file that should be an image of a class.
struct ImagePath {
    std::int32_t label = 0;
    std::string path; ///< in the folder that is packed
};

[[noreturn]] void fail(const fs::path& path, const std::string& what) {
    throw core::DataError(core::printable(path.string()) + ": " + what);
}

/// The names in a folder, in the order of their bytes. Those that begin with a full stop are of the
/// system.
std::vector<std::string> names_in(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code error;
    fs::directory_iterator entry(folder, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
        std::string name = entry->path().filename().string();
        if (name[0] != '.') names.push_back(std::move(name));
    }
    if (error) fail(folder, "cannot be read: " + error.message());
    std::sort(names.begin(), names.end());
    return names;
}

/// Links that lead nowhere or in circles are no folders.
bool is_folder(const fs::path& path) {
    std::error_code ignored;
    return fs::is_directory(path, ignored);
}

std::vector<std::string> folders_in(const fs::path& folder) {
    std::vector<std::string> names = names_in(folder);
    std::erase_if(names, [&](const std::string& name) { return !is_folder(folder / name); });
    return names;
}

bool is_called_image(const fs::path& path) {
    std::string extension = path.extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

/// "a, b, c and 7 more"
std::string some_of(const std::vector<std::string>& names) {
    const std::size_t shown = std::min(names.size(), most_examples);
    return core::printable(core::join(std::span(names).first(shown))) +
           (shown < names.size() ? fmt::format(" and {} more", names.size() - shown) : "");
}

std::vector<std::string> classes_in(const fs::path& folder) {
    if (!is_folder(folder)) fail(folder, "is not a folder; it must hold a folder for each class");
    auto classes = folders_in(folder);
    if (classes.size() < 2 || classes.size() > most_classes)
        fail(folder, fmt::format("holds {} folders, one for each class: must be in [2, {}]",
                                 classes.size(), most_classes));
    return classes;
}

/// An unlabelled test set, as some data sets have it, does not count.
std::string test_folder_in(const fs::path& folder) {
    for (const char* name : {"test", "val", "validation"})
        if (is_folder(folder / name) && !folders_in(folder / name).empty()) return name;
    fail(folder, "has no test/, val/ or validation/ that holds a folder for each class");
}

void check_test_classes(const fs::path& folder, const std::vector<std::string>& classes) {
    std::vector<std::string> unknown;
    for (const std::string& name : folders_in(folder))
        if (!std::binary_search(classes.begin(), classes.end(), name)) unknown.push_back(name);
    if (!unknown.empty()) fail(folder, "has classes that train/ lacks: " + some_of(unknown));
}

/// Lists the images of a split by class and name, and warns of what is odd.
std::vector<ImagePath> list_images(const fs::path& folder, const std::string& split,
                                   const std::vector<std::string>& classes,
                                   std::vector<std::string>& warnings) {
    std::vector<ImagePath> images;
    std::vector<std::string> empty;
    std::vector<std::string> others;
    for (std::size_t c = 0; c < classes.size(); ++c) {
        const fs::path place = fs::path(split) / classes[c];
        const std::size_t before = images.size();
        // A class of train may be missing in test.
        if (is_folder(folder / place))
            for (const std::string& name : names_in(folder / place)) {
                std::string path = (place / name).string();
                if (is_called_image(name))
                    images.push_back({static_cast<std::int32_t>(c), std::move(path)});
                else if (!is_folder(folder / path))
                    others.push_back(std::move(path));
            }
        if (images.size() == before) empty.push_back(classes[c]);
    }
    if (images.empty())
        fail(folder / split, "holds no image: no file CLASS/*.png, *.jpg or *.jpeg");
    if (!empty.empty())
        warnings.push_back(fmt::format("classes without images in {}/: {}", split, some_of(empty)));
    if (!others.empty())
        warnings.push_back("left out, as neither .png, .jpg nor .jpeg: " + some_of(others));
    return images;
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
    std::string problem;
    std::exception_ptr failure; ///< of this program or machine, not of the image
};

Loaded load(const fs::path& path, const ImageFolderParameters& parameters) {
    Loaded loaded;
    try {
        const DecodedImage image =
            decode_image(read_file(path), static_cast<int>(parameters.channels));
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

void append(ImageWriter& writer, std::span<const ImagePath> images,
            const std::vector<Loaded>& batch, ImageFolderReport& report) {
    std::vector<std::uint8_t> pixels;
    std::vector<std::int32_t> labels;
    for (std::size_t i = 0; i < images.size(); ++i) {
        if (batch[i].failure) std::rethrow_exception(batch[i].failure);
        if (batch[i].problem.empty()) {
            pixels.insert(pixels.end(), batch[i].pixels.begin(), batch[i].pixels.end());
            labels.push_back(images[i].label);
        } else {
            ++report.corrupt;
            if (report.examples.size() < most_examples)
                report.examples.push_back(core::printable(images[i].path) + " " + batch[i].problem);
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
    const std::vector<std::string> classes = classes_in(folder / "train");
    ImageFolderReport report;
    report.test_folder = test_folder_in(folder);
    check_test_classes(folder / report.test_folder, classes);
    auto train = list_images(folder, "train", classes, report.warnings);
    const auto test = list_images(folder, report.test_folder, classes, report.warnings);
    shuffle(train, parameters.seed);

    const auto total = static_cast<std::int64_t>(train.size() + test.size());
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
