#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace hdap::accuracy {

/// How images lie in the packed file whose EXIF data say that their camera was turned.
enum class Orientation {
    exif,  ///< upright, as viewers show them
    stored ///< as their pixels are stored, which is what most training pipelines take
};

struct ImageFolderParameters {
    std::int64_t size = 32;       ///< pixels a side of the packed images, 1 to 1,024
    std::int64_t short_side = 32; ///< to which the shorter side is resized, size to 16,384
    std::int64_t channels = 3;    ///< 1 (grey) or 3 (RGB)
    std::int64_t max_corrupt = 0; ///< this many images may be left out
    std::uint64_t seed = 1;       ///< of the order of the training images, and of the split
    /// The share of each class that becomes train, above 0 and below 1, where the folder holds the
    /// classes themselves; nothing where it holds train and test.
    std::optional<double> split = std::nullopt;
    Orientation orientation = Orientation::exif;
};

/// What a person should know about a folder that was packed.
struct ImageFolderReport {
    bool stopped = false;              ///< `on_progress` said so; nothing was written
    std::int64_t corrupt = 0;          ///< images that were left out
    std::vector<std::string> examples; ///< the first ten of them: path and reason; and of others
    std::set<std::string> kinds;       ///< the reasons, without numbers
    std::int64_t turned = 0;           ///< images that EXIF says to turn
    std::vector<std::string> turned_examples; ///< the paths of the first ten of them
    std::vector<std::string> warnings;        ///< a line for each kind of what is left out or odd
    std::string test_folder;       ///< the folder that became the split "test"; empty for a split
    std::int64_t train_images = 0; ///< found, with corrupt ones
    std::int64_t test_images = 0;  ///< the same
};

/// Is told how many of how many images are done; returns whether to go on.
using ImageFolderProgress = std::function<bool(std::int64_t done, std::int64_t total)>;

/// Packs a folder of images into one HDF5 file that read_images understands.
///
/// `folder` holds train/CLASS/*.png, *.jpg or *.jpeg (in small or capital letters, and the same
/// with .gz) and the same in test/, or else in testing/, val/, valid/ or validation/; or, where
/// parameters.split says so, CLASS/*.png and so on. The classes are the folders in train/, in the
/// order of the bytes of their names, which the file keeps. Images in folders within that of a
/// class are of this class. Names that begin with a full stop are left alone, links to folders
/// within a class are not followed; a warning names them, and all else that is left out.
///
/// A split is drawn in each class by hashes of seed and path: the same for the same names. Test
/// images are in the order of class and name. Training images are shuffled, as a study holds the
/// last ones out.
///
/// Images are decoded by decode_image, turned upright unless parameters.orientation says otherwise,
/// and cut by centre_square, in OpenMP threads; the file has the same images in the same order on
/// any number of them. Mean and deviation are the train split's. Memory: all paths, and a batch of
/// images; up to 1 GB a thread for images of 64 megapixels.
///
/// Throws UsageError for a split where train/ or test/ hold folders, or are there both. Throws
/// DataError for a missing folder, fewer than two classes, a class of test that train lacks, a
/// split without images, or more corrupt images than parameters.max_corrupt: it then names the
/// first ten. Throws InternalError when the disk has no space.
ImageFolderReport pack_image_folder(const std::filesystem::path& folder,
                                    const std::filesystem::path& output,
                                    const ImageFolderParameters& parameters,
                                    const ImageFolderProgress& on_progress = {});

} // namespace hdap::accuracy
