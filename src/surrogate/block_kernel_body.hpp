// The kernels of block_kernel.hpp for one instruction set. The file that includes this one has
// set the compiler's target and, in namespace hdap::surrogate, the anonymous constant
// `vector_bytes`; it includes all standard headers before it sets the target, so that no function
// of the standard library is compiled for it and then used on other processors.
//
// A complete tree of depth d is evaluated without branches for a vector of rows at a time: all
// 2^d − 1 nodes compare, and each picks one of the leaf numbers that its two subtrees came to.
// For small d this beats any descent, as features lie in columns, thresholds are broadcast and
// nothing is gathered. The leaf's value then comes from a shuffle of the tree's leaves, which fit
// into a few registers.

namespace hdap::surrogate {
namespace {

template <class T>
struct VectorOf {
    typedef T type __attribute__((vector_size(vector_bytes)));
};

template <class T>
using Vector = typename VectorOf<T>::type;

template <class T>
inline constexpr std::size_t lanes = vector_bytes / sizeof(T);

/// 128-bit instructions cannot shuffle floats by indices; their leaves are read one by one.
inline constexpr bool shuffles = vector_bytes > 16;

template <class T>
[[gnu::always_inline]] inline void load(const T* from, Vector<T>& to) {
    __builtin_memcpy(&to, from, vector_bytes);
}

template <class T>
[[gnu::always_inline]] inline void store(const Vector<T>& from, T* to) {
    __builtin_memcpy(to, &from, vector_bytes);
}

/// The numbers, 0 … 2^depth − 1, of the leaves that a vector of rows comes to below a node.
template <int depth, class Code>
[[gnu::always_inline]] inline void exit_leaves(const BlockNode* nodes, const Code* codes,
                                               std::size_t node, Vector<Code>& leaf) {
    Vector<Code> code;
    load(codes + nodes[node].column, code);
    const Vector<std::uint32_t> words = Vector<std::uint32_t>{} + nodes[node].last_left;
    Vector<Code> last_left;
    __builtin_memcpy(&last_left, &words, vector_bytes);
    if constexpr (depth == 1) {
        leaf = code <= last_left ? Vector<Code>{} : Vector<Code>{} + Code{1};
    } else {
        Vector<Code> left;
        Vector<Code> right;
        exit_leaves<depth - 1>(nodes, codes, 2 * node + 1, left);
        exit_leaves<depth - 1>(nodes, codes, 2 * node + 2, right);
        leaf = code <= last_left ? left : right | static_cast<Code>(1U << (depth - 1));
    }
}

/// value[lane] = leaves[index[lane] mod `count`], where `count` is a power of 2. A template in
/// `Value` too, as Clang, which has no __builtin_shuffle, must not look before it is used.
template <std::size_t count, class Value>
[[gnu::always_inline]] inline void look_up(const Value* leaves, const Vector<std::uint32_t>& index,
                                           Vector<Value>& value) {
    if constexpr (count <= lanes<Value>) {
        // The shuffle takes its indices modulo the lanes. Bits between `count` and the lanes are 0.
        Vector<Value> table;
        load(leaves, table);
        value = __builtin_shuffle(table, index);
    } else if constexpr (vector_bytes == 64 && count == 2 * lanes<Value>) {
        Vector<Value> low;
        Vector<Value> high;
        load(leaves, low);
        load(leaves + count / 2, high);
        value = __builtin_shuffle(low, high, index);
    } else {
        Vector<Value> low;
        Vector<Value> high;
        look_up<count / 2, Value>(leaves, index, low);
        look_up<count / 2, Value>(leaves + count / 2, index, high);
        value = (index & std::uint32_t{count / 2}) != 0 ? high : low;
    }
}

/// Rows that share a 32-bit word when their leaf numbers lie side by side.
template <class Code>
inline constexpr std::size_t rows_a_word = sizeof(std::uint32_t) / sizeof(Code);

/// Adds the leaves' values to the sums of one vector of rows.
///
/// With shuffles, a vector of narrow leaf numbers is read as 32-bit words, and shifting these
/// right brings the rows of each word to the bottom in turn, where they serve as indices; the
/// higher bits do not matter. That is cheaper than widening the numbers, and leaves the sums in
/// the order of position().
template <std::size_t count, class Code>
[[gnu::always_inline]] inline void add_leaves(const float* leaves, const Vector<Code>& leaf,
                                              float* sums) {
    if constexpr (shuffles) {
        Vector<std::uint32_t> words;
        __builtin_memcpy(&words, &leaf, vector_bytes);
        for (std::size_t part = 0; part < rows_a_word<Code>; ++part) {
            Vector<float> value;
            Vector<float> sum;
            look_up<count, float>(
                leaves, words >> static_cast<std::uint32_t>(8 * sizeof(Code) * part), value);
            load(sums + part * lanes<float>, sum);
            sum += value;
            store(sum, sums + part * lanes<float>);
        }
    } else {
        Code number[lanes<Code>];
        store(leaf, number);
        for (std::size_t lane = 0; lane < lanes<Code>; ++lane)
            sums[lane] += leaves[number[lane]];
    }
}

/// Where add_leaves keeps the sum of the row in `lane`.
template <class Code>
constexpr std::size_t position(std::size_t lane) {
    if constexpr (shuffles)
        return lane % rows_a_word<Code> * lanes<float> + lane / rows_a_word<Code>;
    else
        return lane;
}

/// Vectors of rows are the outer loop: were the trees, the compiler would keep all of a tree's
/// thresholds for the next vector, in the stack's memory for want of registers.
template <int depth, class Code>
void evaluate_block(const CompleteTrees& forest, float base_score, const Code* codes, float* sums) {
    constexpr std::size_t leaf_count = std::size_t{1} << depth;
    for (std::size_t first = 0; first < block_rows; first += lanes<Code>) {
        alignas(vector_bytes) float partial[lanes<Code>];
        for (float& sum : partial)
            sum = base_score;
        const BlockNode* nodes = forest.nodes;
        const float* leaves = forest.leaves;
        for (std::size_t tree = 0; tree < forest.trees; ++tree) {
            Vector<Code> leaf;
            exit_leaves<depth>(nodes, codes + first, 0, leaf);
            add_leaves<leaf_count, Code>(leaves, leaf, partial);
            nodes += leaf_count - 1;
            leaves += leaf_count;
        }
        for (std::size_t lane = 0; lane < lanes<Code>; ++lane)
            sums[first + lane] = partial[position<Code>(lane)];
    }
}

/// Few thresholds: every one is compared with every row; a vector of rows at a time.
template <class Code>
void count_thresholds(const float* values, const float* thresholds, std::size_t count,
                      Code* codes) {
    for (std::size_t row = 0; row < block_rows; row += lanes<float>) {
        Vector<float> value;
        load(values + row, value);
        Vector<std::int32_t> rank = Vector<std::int32_t>{} + static_cast<std::int32_t>(count);
        for (std::size_t i = 0; i < count; ++i)
            rank += value < thresholds[i]; // a comparison that holds is −1
        for (std::size_t lane = 0; lane < lanes<float>; ++lane)
            codes[row + lane] = static_cast<Code>(rank[lane]);
    }
}

/// Many thresholds: a binary search without branches.
template <class Code>
void search_thresholds(const float* values, const float* thresholds, std::size_t count,
                       Code* codes) {
    for (std::size_t row = 0; row < block_rows; ++row) {
        const float* first = thresholds;
        for (std::size_t length = count; length > 1;) {
            const std::size_t half = length / 2;
            first = values[row] < first[half - 1] ? first : first + half;
            length -= half;
        }
        const std::size_t below = static_cast<std::size_t>(first - thresholds);
        codes[row] = static_cast<Code>(values[row] < *first ? below : below + 1);
    }
}

template <class Code>
void rank_block(const float* values, const float* thresholds, std::size_t count, Code* codes) {
    constexpr std::size_t few = 64;
    if (count <= few)
        count_thresholds(values, thresholds, count, codes);
    else
        search_thresholds(values, thresholds, count, codes);
}

static_assert(max_complete_depth == 6);

constexpr BlockKernels kernels{
    .evaluate_narrow = {nullptr, evaluate_block<1, std::uint8_t>, evaluate_block<2, std::uint8_t>,
                        evaluate_block<3, std::uint8_t>, evaluate_block<4, std::uint8_t>,
                        evaluate_block<5, std::uint8_t>, evaluate_block<6, std::uint8_t>},
    .evaluate_wide = {nullptr, evaluate_block<1, std::uint16_t>, evaluate_block<2, std::uint16_t>,
                      evaluate_block<3, std::uint16_t>, evaluate_block<4, std::uint16_t>,
                      evaluate_block<5, std::uint16_t>, evaluate_block<6, std::uint16_t>},
    .rank_narrow = rank_block<std::uint8_t>,
    .rank_wide = rank_block<std::uint16_t>,
};

} // namespace
} // namespace hdap::surrogate
