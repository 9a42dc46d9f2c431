#include "folder_listing.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <utility>

namespace hdap::accuracy {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_examples = 10;
constexpr std::size_t most_classes = 1'000'000;
constexpr std::initializer_list<const char*> train_names{"train", "training"};
constexpr std::initializer_list<const char*> test_names{"test", "testing", "val", "valid",
                                                        "validation"};

[[noreturn]] void fail(const fs::path& path, const std::string& what) {
    throw core::DataError(core::printable(path.string()) + ": " + what);
}

/// The names in a folder, in the order of their bytes.
std::vector<std::string> names_in(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code error;
    fs::directory_iterator entry(folder, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error))
        names.push_back(entry->path().filename().string());
    if (error) fail(folder, "cannot be read: " + error.message());
    std::sort(names.begin(), names.end());
    return names;
}

/// Such files are of the system, or of a program that unpacked an archive.
bool is_hidden(const std::string& name) {
    return name[0] == '.' || name == "__MACOSX";
}

/// Links that lead nowhere or in circles are no folders.
bool is_folder(const fs::path& path) {
    std::error_code ignored;
    return fs::is_directory(path, ignored);
}

bool is_link(const fs::path& path) {
    std::error_code ignored;
    return fs::is_symlink(path, ignored);
}

std::string lower_case(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    return text;
}

bool is_called_image(const fs::path& path) {
    const std::string extension = lower_case(path.extension().string());
    if (extension == ".gz") return is_called_image(path.stem());
    return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

/// Whether `path` leads to `folder` or to one around it, as a link may.
bool leads_around(const fs::path& path, const fs::path& folder) {
    std::error_code error; // an empty path leads nowhere
    const fs::path outer = fs::canonical(path, error);
    const fs::path inner = fs::canonical(folder, error);
    return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first ==
           outer.end();
}

/// What is odd in a folder, of each kind the paths.
class Remarks {
  public:
    void add(const std::string& kind, std::string path) { paths_[kind].push_back(std::move(path)); }

    [[nodiscard]] std::vector<std::string> lines() const {
        std::vector<std::string> lines;
        for (const auto& [kind, paths] : paths_)
            lines.push_back(fmt::format("{} ({}): {}", kind, paths.size(), some_of(paths)));
        return lines;
    }

  private:
    std::map<std::string, std::vector<std::string>> paths_;
};

/// The folders in `folder / place` that are not hidden and do not lead back.
std::vector<std::string> folders_in(const fs::path& folder, const fs::path& place = {}) {
    std::vector<std::string> names = names_in(folder / place);
    std::erase_if(names, [&](const std::string& name) {
        const fs::path path = folder / place / name;
        return is_hidden(name) || !is_folder(path) ||
               (is_link(path) && leads_around(path, folder / place));
    });
    return names;
}

/// The folder in `folder` that is called as the first of `names`, or else the next …, in small or
/// capital letters, and that is accepted.
template <class Accept>
std::optional<std::string> folder_called(const fs::path& folder,
                                         std::initializer_list<const char*> names,
                                         const Accept& accept) {
    const std::vector<std::string> folders = folders_in(folder);
    for (const std::string name : names)
        for (const std::string& found : folders)
            if (lower_case(found) == name && accept(found)) return found;
    return std::nullopt;
}

bool is_any(const std::string& /*name*/) {
    return true;
}

std::optional<std::string> train_folder_in(const fs::path& folder) {
    return folder_called(folder, train_names, is_any);
}

/// An unlabelled test set, as some data sets have it, does not count.
std::optional<std::string> test_folder_in(const fs::path& folder) {
    return folder_called(folder, test_names, [&](const std::string& name) {
        return !folders_in(folder, name).empty();
    });
}

/// One of the two in a folder that is split already. A class may be called "train", too, but holds
/// images, and has no class "test" beside it.
std::optional<std::string> split_folder_in(const fs::path& folder) {
    auto train = train_folder_in(folder);
    if (train && folder_called(folder, test_names, is_any)) return train;
    return train && !folders_in(folder, *train).empty() ? train : test_folder_in(folder);
}

/// What to do with a folder without a train/ that holds classes.
[[noreturn]] void fail_without_train(const fs::path& folder) {
    const std::vector<std::string> folders = folders_in(folder);
    if (folders.size() > 1)
        fail(folder,
             fmt::format("holds no train/ with classes. If its {} folders are the classes ({}), "
                         "--split 0.8 takes 80 % of each one's images for training and "
                         "keeps the others for tests",
                         folders.size(), some_of(folders)));
    const std::string hint = folders.empty()
                                 ? ""
                                 : fmt::format("; perhaps {} is the folder to pack",
                                               core::printable((folder / folders[0]).string()));
    fail(folder / "train", "is not a folder; it must hold a folder for each class" + hint);
}

std::vector<std::string> classes_in(const fs::path& folder) {
    auto classes = folders_in(folder);
    if (classes.size() < 2 || classes.size() > most_classes)
        fail(folder, fmt::format("holds {}, one for each class: must be in [2, {}]{}",
                                 core::counted(classes.size(), "folder"), most_classes,
                                 classes.size() == 1 ? "; it is " + some_of(classes) : ""));
    return classes;
}

void check_test_classes(const fs::path& folder, const std::string& place,
                        const std::vector<std::string>& classes) {
    std::vector<std::string> unknown;
    for (const std::string& name : folders_in(folder, place))
        if (!std::binary_search(classes.begin(), classes.end(), name)) unknown.push_back(name);
    if (!unknown.empty())
        fail(folder / place, "has classes that train/ lacks: " + some_of(unknown));
}

/// Lists the images of one place, a folder of classes.
class Lister {
  public:
    Lister(const fs::path& folder, Remarks& remarks) : folder_(folder), remarks_(remarks) {}

    /// `place`: in the folder; empty for itself.
    std::vector<ImagePath> list(const fs::path& place, const std::vector<std::string>& classes) {
        images_.clear();
        remark_outside(place, classes);
        std::vector<std::string> empty;
        for (std::size_t c = 0; c < classes.size(); ++c) {
            const std::size_t before = images_.size();
            // A class of train may be missing in test.
            if (is_folder(folder_ / place / classes[c]))
                add(place / classes[c], static_cast<std::int32_t>(c), false);
            if (images_.size() == before) empty.push_back(classes[c]);
        }
        if (images_.empty())
            fail(place.empty() ? folder_ : folder_ / place,
                 "holds no image: no file CLASS/*.png, *.jpg or *.jpeg");
        for (std::string& name : empty)
            remarks_.add("classes without images" + in(place), std::move(name));
        return std::move(images_);
    }

  private:
    static std::string in(const fs::path& place) {
        return place.empty() ? "" : " in " + place.string() + "/";
    }

    /// What lies beside the classes' folders.
    void remark_outside(const fs::path& place, const std::vector<std::string>& classes) {
        for (const std::string& name : names_in(folder_ / place)) {
            const std::string path = (place / name).string();
            if (std::binary_search(classes.begin(), classes.end(), name)) continue;
            if (is_folder(folder_ / path) && !is_hidden(name))
                remarks_.add("left out, as it leads back to a folder around it", path);
            else
                remarks_.add("left out, as it lies in no folder of a class", path);
        }
    }

    void add(const fs::path& place, std::int32_t label, bool deep) {
        for (const std::string& name : names_in(folder_ / place)) {
            std::string path = (place / name).string();
            if (is_hidden(name)) {
                remarks_.add("left out, as the name begins with a full stop", std::move(path));
            } else if (is_called_image(name)) {
                if (deep) remarks_.add("nested deeper than CLASS/, packed as of that class", path);
                images_.push_back({label, std::move(path)});
            } else if (!is_folder(folder_ / path)) {
                remarks_.add("left out, as neither .png, .jpg nor .jpeg", std::move(path));
            } else if (is_link(folder_ / path)) {
                remarks_.add("left out, as links to folders in a class are not followed",
                             std::move(path));
            } else {
                add(path, label, true);
            }
        }
    }

    const fs::path& folder_;
    Remarks& remarks_;
    std::vector<ImagePath> images_;
};

/// What lies beside the two folders that are packed, such as val/ beside test/.
void remark_others(const fs::path& folder, const std::string& train, const std::string& test,
                   Remarks& remarks) {
    for (const std::string& name : folders_in(folder))
        if (name != train && name != test) remarks.add("folders that are not packed", name + "/");
    for (const std::string& name : names_in(folder))
        if (is_called_image(name) && !is_hidden(name))
            remarks.add("left out, as it lies in no folder of a class", name);
}

FolderListing list_splits(const fs::path& folder, Remarks& remarks) {
    if (!is_folder(folder)) fail(folder, "is not a folder");
    const auto train = train_folder_in(folder);
    const bool is_class = !split_folder_in(folder) && folders_in(folder).size() > 1;
    if (!train || is_class) fail_without_train(folder);
    FolderListing listing;
    listing.classes = classes_in(folder / *train);
    const auto test = test_folder_in(folder);
    if (!test)
        fail(folder,
             fmt::format("has no test/, val/ or validation/ that holds a folder for each class; to "
                         "keep a part of {} for tests, pack {} with --split 0.8",
                         *train, core::printable((folder / *train).string())));
    check_test_classes(folder, *test, listing.classes);
    Lister lister(folder, remarks);
    listing.train = lister.list(*train, listing.classes);
    listing.test = lister.list(*test, listing.classes);
    listing.test_folder = *test;
    remark_others(folder, *train, *test, remarks);
    return listing;
}

/// How many of `count` images of a class are for training; some of both kinds where that is
/// possible.
std::size_t train_count(std::size_t count, double share) {
    if (count < 2) return count;
    const auto wanted = static_cast<std::size_t>(std::llround(share * static_cast<double>(count)));
    return std::clamp<std::size_t>(wanted, 1, count - 1);
}

/// Splits the images of one class: those whose names have the smallest hashes are for training.
/// So the order in which the file system tells them, and other classes, change nothing.
void split_class(std::span<const ImagePath> images, const ImageFolderParameters& parameters,
                 FolderListing& listing) {
    std::vector<std::pair<std::string, std::size_t>> order;
    for (std::size_t i = 0; i < images.size(); ++i)
        order.emplace_back(core::sha256_hex(fmt::format("{}\n{}", parameters.seed, images[i].path)),
                           i);
    std::sort(order.begin(), order.end());
    const std::size_t train = train_count(images.size(), *parameters.split);
    std::vector<bool> is_train(images.size(), false);
    for (const auto& [hash, i] : std::span(order).first(train))
        is_train[i] = true;
    for (std::size_t i = 0; i < images.size(); ++i)
        (is_train[i] ? listing.train : listing.test).push_back(images[i]);
}

FolderListing split_classes(const fs::path& folder, const ImageFolderParameters& parameters,
                            Remarks& remarks) {
    if (!is_folder(folder)) fail(folder, "is not a folder");
    if (const auto found = split_folder_in(folder))
        throw core::UsageError(fmt::format(
            "--split is for a folder of classes, but {} holds {}/; leave it out, or pack {}",
            core::printable(folder.string()), *found, core::printable((folder / *found).string())));
    FolderListing listing;
    listing.classes = classes_in(folder);
    const auto images = Lister(folder, remarks).list({}, listing.classes);
    for (auto first = images.begin(); first != images.end();) {
        const auto last = std::find_if(first, images.end(), [&](const ImagePath& image) {
            return image.label != first->label;
        });
        split_class({first, last}, parameters, listing);
        if (last - first == 1)
            remarks.add("classes of one image, which is a training image",
                        listing.classes[static_cast<std::size_t>(first->label)]);
        first = last;
    }
    if (listing.test.empty())
        fail(folder, "has no class with two images or more; there is nothing to split");
    return listing;
}

} // namespace

std::string some_of(const std::vector<std::string>& names) {
    const std::size_t shown = std::min(names.size(), most_examples);
    return core::printable(core::join(std::span(names).first(shown))) +
           (shown < names.size() ? fmt::format(" and {} more", names.size() - shown) : "");
}

FolderListing list_image_folder(const fs::path& folder, const ImageFolderParameters& parameters) {
    Remarks remarks;
    FolderListing listing = parameters.split ? split_classes(folder, parameters, remarks)
                                             : list_splits(folder, remarks);
    listing.warnings = remarks.lines();
    return listing;
}

} // namespace hdap::accuracy
