using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using Serverless.Batches;
using Serverless.Errors;
using Serverless.Files;
using Serverless.Gateway.Admission;

namespace Serverless.Gateway.Batches;

/// <summary>Reads a batch's input once: either all its lines are good, and stand in the store as the plan, a copy that nobody deletes; or it says what is wrong with which. Thread-safe.</summary>
internal sealed class BatchPlan(FileDirectory files, BatchStore store, IOptions<BatchOptions> options, IOptions<AdmissionOptions> admission)
{
    /// <summary>What a line has around its body at most.</summary>
    public const int AroundBody = 64 * 1024;

    private const int MostErrors = 100;
    private const int PieceLines = 1000;
    private const int PieceBytes = 4 << 20;

    /// <summary>The longest line that is read.</summary>
    public int MaxLineBytes => (int)Math.Min(int.MaxValue, admission.Value.MaxBodyBytes + AroundBody);

    /// <summary>Reads it, into pieces of that name. Of a faulty input none are left.</summary>
    public async Task<PlanOutcome> MakeAsync(Batch batch, string plan, CancellationToken cancellationToken)
    {
        if (await files.FindAsync(batch.Owner, batch.InputFileId, cancellationToken) is not { } file) return PlanOutcome.Faulty(Gone());

        try
        {
            await using var content = await files.OpenAsync(file, 0, null, cancellationToken);
            return await ReadAsync(batch, plan, content, cancellationToken);
        }
        catch (ServingException exception) when (exception.Fault.Error == ServingError.FileNotFound)
        {
            return PlanOutcome.Faulty(Gone());
        }
    }

    private static BatchError Gone() => new("input_file_not_found", "The input file was deleted, or has expired, before it was read.", null, "input_file_id");

    /// <summary>What is cut off leaves nothing: whoever goes on makes a plan of its own, and the sweep leaves what an open batch has.</summary>
    private async Task<PlanOutcome> ReadAsync(Batch batch, string plan, Stream content, CancellationToken cancellationToken)
    {
        using var writer = new Writer(plan, store);
        try
        {
            return await ReadAsync(batch, plan, content, writer, cancellationToken);
        }
        catch (Exception exception) when (exception is not ServingException) // with a store that is away it is read again, into the same pieces
        {
            await DiscardAsync(plan, writer.Pieces.Count);
            throw;
        }
    }

    private async Task DiscardAsync(string plan, int pieces)
    {
        try
        {
            await store.ClearPlanAsync(plan, pieces, CancellationToken.None);
        }
        catch (ServingException)
        {
            // It is swept once the batch has ended.
        }
    }

    private async Task<PlanOutcome> ReadAsync(Batch batch, string plan, Stream content, Writer writer, CancellationToken cancellationToken)
    {
        var ids = new HashSet<UInt128>();
        List<BatchError> errors = [];
        await foreach (var (number, text) in JsonLines.ReadAsync(content, MaxLineBytes, cancellationToken))
        {
            if (writer.Lines == options.Value.MaxLines)
            {
                errors.Add(new BatchError("too_many_lines", string.Create(CultureInfo.InvariantCulture, $"The file has more than {options.Value.MaxLines} requests, the limit of a batch ({BatchOptions.Section}:{nameof(BatchOptions.MaxLines)}). Split it."), number));
                break;
            }

            if (Check(batch, number, text, ids, writer) is { } error) errors.Add(error);
            else if (errors.Count == 0) await writer.WriteAsync(text!, cancellationToken);
            if (errors.Count == MostErrors) break;
        }

        if (errors.Count == 0 && writer.Lines == 0) errors.Add(new BatchError("empty_file", "The input file has no lines; each request is a JSON object on a line of its own.", null, "input_file_id"));
        if (errors.Count > 0)
        {
            await store.ClearPlanAsync(plan, writer.Pieces.Count, cancellationToken);
            return new PlanOutcome(errors, [], 0, null);
        }

        await writer.FlushAsync(cancellationToken);
        return new PlanOutcome([], writer.Pieces, writer.Lines, writer.Model);
    }

    private BatchError? Check(Batch batch, int number, byte[]? text, HashSet<UInt128> ids, Writer writer)
    {
        if (text is null) return new BatchError("line_too_long", string.Create(CultureInfo.InvariantCulture, $"This line is longer than {MaxLineBytes} bytes, the limit. Shorten its prompt."), number);
        if (BatchLine.Read(text, number, batch.Endpoint, out var error) is not { } line) return error;
        if (!ids.Add(HashOf(line.CustomId))) return new BatchError("duplicate_custom_id", "Another line before this one has the same 'custom_id'; each must be unique in its batch.", number, "custom_id");

        writer.Note(line.Model);
        return null;
    }

    private static UInt128 HashOf(string id) => BinaryPrimitives.ReadUInt128LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(id)));

    /// <summary>Writes the plan piece by piece. Not thread-safe.</summary>
    private sealed class Writer(string plan, BatchStore store) : IDisposable
    {
        private readonly List<int> _pieces = [];
        private readonly MemoryStream _piece = new();
        private int _lines;
        private bool _hasSeveral;

        /// <summary>Lines so far.</summary>
        public int Lines { get; private set; }

        /// <summary>The first line of each piece.</summary>
        public List<int> Pieces => _pieces;

        /// <summary>The model that all lines name, or null.</summary>
        public string? Model { get; private set; }

        public void Note(string? model)
        {
            if (Lines == 0 && !_hasSeveral) Model = model;
            else if (model != Model) (Model, _hasSeveral) = (null, true);
        }

        public async ValueTask WriteAsync(byte[] line, CancellationToken cancellationToken)
        {
            _piece.Write(line);
            _piece.WriteByte((byte)'\n');
            Lines++;
            if (++_lines == PieceLines || _piece.Length >= PieceBytes) await FlushAsync(cancellationToken);
        }

        public async ValueTask FlushAsync(CancellationToken cancellationToken)
        {
            if (_lines == 0) return;

            await store.PutPieceAsync(plan, _pieces.Count, _piece, cancellationToken);
            _pieces.Add(Lines - _lines);
            _piece.SetLength(0);
            _lines = 0;
        }

        public void Dispose() => _piece.Dispose();
    }
}

/// <summary>What reading an input came to.</summary>
/// <param name="Errors">What is wrong; none: it can run.</param>
/// <param name="Pieces">The first line of each piece of the plan.</param>
/// <param name="Lines">How many there are.</param>
/// <param name="Model">That all of them name, or null.</param>
internal sealed record PlanOutcome(IReadOnlyList<BatchError> Errors, IReadOnlyList<int> Pieces, int Lines, string? Model)
{
    public static PlanOutcome Faulty(BatchError error) => new([error], [], 0, null);
}
