using CsCheck;
using Serverless.Inference.Tokenizers;
using Serverless.Tests.Inference.Gguf;
using Shouldly;
using Tokenizer = Serverless.Inference.Tokenizers.Tokenizer;

namespace Serverless.Tests.Inference.Tokenizers;

/// <summary>SentencePiece's BPE by scores, as GGUF files carry it, against the definition carried out step by step.</summary>
public sealed class SentencePieceTests
{
    [Fact]
    public void Merges_follow_the_scores_of_any_vocabulary() =>
        Gen.Select(Gen.Int[0, 100_000], Gen.String[Gen.Char["abc \n"], 0, 90]).Sample(
            (seed, text) =>
            {
                var vocabulary = Random(new Random(seed));

                Tokenizer.Of(vocabulary).Encode(text, parseSpecial: false).ShouldBe(Slowly(vocabulary, text), $"seed {seed}");
            },
            iter: 2000);

    [Fact]
    public void A_character_without_a_token_is_its_bytes_and_decodes_to_itself()
    {
        var sut = Tokenizer.Of(Random(new Random(1)));

        var tokens = sut.Encode("né日", parseSpecial: false);

        tokens.Count.ShouldBe(1 + 1 + 2 + 3);
        sut.Decode(tokens).ShouldBe(" né日");
    }

    [Fact]
    public void A_space_comes_in_front_of_each_stretch_of_text_and_user_defined_tokens_come_before_all()
    {
        var sut = Tokenizer.Of(Random(new Random(1)) with { Kinds = [VocabularyKind.Unknown, VocabularyKind.Control, VocabularyKind.Control, VocabularyKind.UserDefined, .. Random(new Random(1)).Kinds[4..]] });

        var parsed = sut.Encode("a</s>a", parseSpecial: true);
        parsed.ShouldBe([.. sut.Encode("a", false), 2, .. sut.Encode("a", false)]);
        sut.Encode("a</s>a", parseSpecial: false).ShouldNotContain(2);
        sut.Encode("bccccb", parseSpecial: false).ShouldContain(3);
    }

    /// <summary>As Gemma has them by the thousand, all with one beginning; of several at a place the longest is meant.</summary>
    [Fact]
    public void Of_user_defined_tokens_that_begin_alike_the_longest_is_found()
    {
        var vocabulary = Random(new Random(1));
        string[] added = [.. Enumerable.Range(0, 3000).Select(i => $"<u{i}"), "<"];
        var first = vocabulary.Entries.Length;
        var sut = Tokenizer.Of(vocabulary with
        {
            Entries = [.. vocabulary.Entries, .. added],
            Kinds = [.. vocabulary.Kinds, .. added.Select(_ => VocabularyKind.UserDefined)],
            Scores = [.. vocabulary.Scores!, .. added.Select(_ => 0f)],
        });

        sut.Encode("<u2999<u29<<u", parseSpecial: false).Where(token => token >= first).Select(token => added[token - first]).ShouldBe(["<u2999", "<u29", "<", "<"]);
    }

    [Fact]
    public void A_file_of_llamas_kind_is_read_with_its_scores_spaces_and_begin_token()
    {
        var vocabulary = Random(new Random(3));
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, TinyModel.Build(new Dictionary<string, object?>
            {
                ["tokenizer.ggml.model"] = "llama", ["tokenizer.ggml.pre"] = null, ["tokenizer.ggml.merges"] = null, ["tokenizer.ggml.add_bos_token"] = null,
                ["tokenizer.ggml.tokens"] = vocabulary.Entries, ["tokenizer.ggml.token_type"] = vocabulary.Kinds.Select(kind => (int)kind).ToArray(), ["tokenizer.ggml.scores"] = vocabulary.Scores,
                ["tokenizer.ggml.bos_token_id"] = 1u, ["tokenizer.ggml.eos_token_id"] = 2u,
            }).File);
            using var file = Serverless.Inference.Gguf.GgufFile.Open(path);

            var sut = Tokenizer.Load(file);

            sut.Encode("abc cab", false).ShouldBe(Slowly(vocabulary, "abc cab"));
            sut.BeginToken.ShouldBe(1);
            sut.EndTokens.ShouldBe([2]);
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>Letters, bytes, and words of letters with scores in any order.</summary>
    private static Vocabulary Random(Random random)
    {
        List<string> entries = ["<unk>", "<s>", "</s>", "cccc"];
        List<VocabularyKind> kinds = [VocabularyKind.Unknown, VocabularyKind.Control, VocabularyKind.Control, VocabularyKind.Normal];
        for (var value = 0; value < 256; value++) (entries, kinds) = ([.. entries, $"<0x{value:X2}>"], [.. kinds, VocabularyKind.Byte]);
        foreach (var letter in "abcn\u2581") (entries, kinds) = ([.. entries, letter.ToString()], [.. kinds, VocabularyKind.Normal]);
        for (var i = 0; i < 25; i++)
        {
            var word = string.Concat(Enumerable.Range(0, random.Next(2, 6)).Select(_ => "abc\u2581"[random.Next(4)]));
            if (entries.Contains(word)) continue;
            (entries, kinds) = ([.. entries, word], [.. kinds, VocabularyKind.Normal]);
        }

        return new Vocabulary
        {
            Entries = [.. entries], Kinds = [.. kinds], Scores = [.. entries.Select(_ => -(float)random.Next(20))], Prefix = SpacePrefix.Each, Ends = [2], Begin = 1, End = 2,
        };
    }

    /// <summary>The neighbours of the highest score that are an entry together, the leftmost of equals, until there are none.</summary>
    private static List<int> Slowly(Vocabulary vocabulary, string text)
    {
        if (text.Length == 0) return [];
        List<string> symbols = [.. (" " + text).Replace(' ', '\u2581').Select(letter => letter.ToString())];
        while (true)
        {
            var (best, score) = (-1, float.NegativeInfinity);
            for (var i = 0; i + 1 < symbols.Count; i++)
            {
                var id = Array.IndexOf(vocabulary.Entries, symbols[i] + symbols[i + 1]);
                if (id >= 0 && vocabulary.Scores![id] > score) (best, score) = (i, vocabulary.Scores[id]);
            }

            if (best < 0) break;
            symbols[best] += symbols[best + 1];
            symbols.RemoveAt(best + 1);
        }

        return [.. symbols.Select(symbol => Array.IndexOf(vocabulary.Entries, symbol == "\n" ? "<0x0A>" : symbol))];
    }
}
