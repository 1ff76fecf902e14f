"""Words that hold a sentence together and say nothing of a face by themselves. Pronouns are among them."""

# fmt: off
FUNCTION_WORDS = frozenset({
    "a", "about", "above", "across", "after", "also", "an", "and", "any", "are", "around", "as", "at", "be", "been",
    "before", "behind", "being", "below", "beneath", "between", "both", "but", "by", "can", "could", "do", "does",
    "each", "either", "for", "from", "had", "has", "have", "he", "her", "hers", "him", "his", "i", "if", "in",
    "into", "is", "it", "its", "itself", "may", "me", "might", "more", "most", "my", "of", "off", "on", "or", "our",
    "over", "she", "should", "so", "some", "such", "than", "that", "the", "their", "them", "then", "there", "these",
    "they", "this", "those", "to", "too", "toward", "towards", "under", "up", "upon", "us", "very", "was", "we",
    "were", "what", "when", "where", "which", "while", "who", "whose", "will", "with", "within", "would", "you",
    "your",
})
# fmt: on
